"""Thoughts from an endpoint: a real server on 127.0.0.1 that answers, now and then badly."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi.responses import HTMLResponse, JSONResponse, Response
from listener import Listener
from llm_server import completion, echo, endpoint, number_of, questions, serving

from tesuji.core.errors import EngineError
from tesuji.core.types import Move
from tesuji.datasets.files import read_rows
from tesuji.datasets.from_positions.stage import make_data
from tesuji.datasets.llm_endpoint import LONGEST, thought_question, tidy, write_thoughts
from tesuji.games.catalogue import load_game
from tesuji.recipe.schema.recipe import Recipe


def test_answers_come_in_order_within_the_allowed_width(tmp_path: Path):
    listener = Listener()
    with serving(echo) as server:
        thoughts = write_thoughts(
            questions(20), endpoint(server.url, concurrency=3), tmp_path / "c", listener
        )
    assert thoughts == [f"I answer question {i}." for i in range(20)]
    assert 1 < server.widest <= 3
    assert [done for _, done, _ in listener.steps] == list(range(21))


def test_nothing_is_asked_twice_even_after_a_failure_in_between(tmp_path: Path):
    def dies_after_five(number: int, body: dict[str, Any]) -> Response:
        return echo(number, body) if number < 5 else Response(status_code=401)

    cache = tmp_path / "c.sqlite"
    with serving(dies_after_five) as server, pytest.raises(EngineError):
        write_thoughts(questions(12), endpoint(server.url, concurrency=1), cache)
    with serving(echo) as server:
        thoughts = write_thoughts(questions(12), endpoint(server.url), cache)
        assert len(server.bodies) == 7
        write_thoughts(questions(12), endpoint(server.url), cache)
        assert len(server.bodies) == 7
    assert None not in thoughts


def test_a_run_killed_in_the_middle_asks_only_for_what_is_missing(tmp_path: Path):
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from tesuji.core.progress import Progress\n"
        "from tesuji.datasets.llm_endpoint import write_thoughts\n"
        "from tesuji.recipe.schema.data import EndpointSection\n"
        "ask = [({'role': 'user', 'content': f'question {i}'},) for i in range(12)]\n"
        "end = EndpointSection(base_url=sys.argv[1], model='m', concurrency=1)\n"
        "class Kill(Progress):\n"
        "    def update(self, done, note=''):\n"
        "        done == 5 and os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_thoughts(ask, end, Path(sys.argv[2]), Kill())\n"
    )
    cache = tmp_path / "c.sqlite"
    with serving(echo) as server:
        command = [sys.executable, "-c", code, server.url, str(cache)]
        assert subprocess.run(command, timeout=60).returncode == -signal.SIGKILL
        before = len(server.bodies)
        thoughts = write_thoughts(questions(12), endpoint(server.url), cache)
        assert len(server.bodies) - before == 7
    assert thoughts == [f"I answer question {i}." for i in range(12)]


def test_another_model_or_temperature_is_asked_anew_and_equal_questions_once(tmp_path: Path):
    with serving(echo) as server:
        twice = questions(1) * 2
        assert write_thoughts(twice, endpoint(server.url), tmp_path / "c") == [
            "I answer question 0.",
            "I answer question 0.",
        ]
        assert len(server.bodies) == 1
        for changes in ({"model": "n"}, {"temperature": 0.1}, {"max_tokens": 9}):
            write_thoughts(twice, endpoint(server.url, **changes), tmp_path / "c")
        assert len(server.bodies) == 4


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_fault_is_tried_again(tmp_path: Path, status: int):
    def once(number: int, body: dict[str, Any]) -> Response:
        headers = {"Retry-After": "0.05"} if status == 429 else {}
        return Response(status_code=status, headers=headers) if number == 0 else echo(number, body)

    with serving(once) as server:
        assert write_thoughts(questions(1), endpoint(server.url), tmp_path / "c") == [
            "I answer question 0."
        ]
        assert len(server.bodies) == 2


@pytest.mark.parametrize(
    "garbage",
    [
        HTMLResponse("<html>proxy error</html>"),
        JSONResponse({"choices": []}),
        JSONResponse({"error": "no"}),
        JSONResponse([1, 2]),
        completion(""),
        completion(None),
        completion(["a", "list"]),
        completion("<think>for ever and ever"),
        completion("x" * 2_000_000),
        Response(b"[" * 100_000, media_type="application/json"),
        Response(b"\xff\xfe\x00", media_type="application/json"),
    ],
)
def test_garbage_is_tried_again_and_then_counted_as_no_thought(tmp_path: Path, garbage: Response):
    def some(number: int, body: dict[str, Any]) -> Response:
        return garbage if "question 0" in body["messages"][0]["content"] else echo(number, body)

    with serving(some) as server:
        thoughts = write_thoughts(questions(2), endpoint(server.url), tmp_path / "c")
    assert thoughts == [None, "I answer question 1."]


def test_questions_refused_one_by_one_do_not_keep_a_resumed_run_from_its_end(tmp_path: Path):
    def filtered(number: int, body: dict[str, Any]) -> Response:
        return echo(number, body) if number_of(body) >= 12 else Response(status_code=400)

    with serving(filtered, delay=0) as server:
        once = endpoint(server.url, retries=0)
        for _ in range(2):  # the second time, the refused ones are all that is asked
            thoughts = write_thoughts(questions(80)[::-1], once, tmp_path / "c")
            assert thoughts.count(None) == 12


def test_answers_are_tidied():
    assert tidy("<think>hm</think>\n I take\nthe centre. ") == "I take the centre."
    assert tidy("<think>never ends") == ""
    assert tidy(7) == ""
    long = tidy("I win. " * 500)
    assert len(long) <= LONGEST
    assert long.endswith(".")
    assert tidy("x" * 10_000) == ""


def test_the_question_shows_the_position_and_the_move():
    game = load_game("tic_tac_toe", {})
    text = thought_question(game, game.start(0), 0, Move(4, "x(1,1)"))[0]["content"]
    assert "...\n...\n..." in text
    assert "x(1,1)" in text


def test_a_data_stage_with_an_endpoint_writes_thoughts_and_counts_what_is_missing(tmp_path: Path):
    def mostly(number: int, body: dict[str, Any]) -> Response:
        return completion("") if "decided to play x(1,1)" in str(body) else completion("I like it.")

    with serving(mostly) as server:
        recipe = Recipe.model_validate(
            {
                "name": "a",
                "game": "tic_tac_toe",
                "stages": {
                    "data": {
                        "positions": "sampled",
                        "num_positions": 8,
                        "thoughts": "llm",
                        "held_out": 0,
                        "endpoint": {"base_url": server.url, "retries": 0},
                    }
                },
            }
        )
        game = load_game("tic_tac_toe", {})
        stats = make_data(recipe, recipe.stages["data"], game, tmp_path)
        again = make_data(recipe, recipe.stages["data"], game, tmp_path)
    rows = list(read_rows(tmp_path / "train.jsonl"))
    assert stats["rows_without_thought"] == again["rows_without_thought"] >= 1
    assert len(rows) == stats["train_rows"] > 0
    assert all(row.reply.startswith("<think>\nI like it.\n</think>") for row in rows)
