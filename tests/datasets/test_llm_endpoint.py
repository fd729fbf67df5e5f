"""Thoughts from an endpoint: a real server on 127.0.0.1 that behaves, and misbehaves."""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.responses import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from listener import Listener
from llm_server import completion, serving

from tesuji.core.errors import DataError, EngineError
from tesuji.core.types import Move
from tesuji.datasets.files import read_rows
from tesuji.datasets.from_positions.stage import make_data
from tesuji.datasets.llm_endpoint import (
    GIVE_UP_AFTER,
    LONGEST,
    Question,
    thought_question,
    tidy,
    write_thoughts,
)
from tesuji.games.catalogue import load_game
from tesuji.recipe.schema.data import EndpointSection
from tesuji.recipe.schema.recipe import Recipe

SECRET = "sk-thisisaverysecretkey"
PLAIN = "hunter2hunter2"


def endpoint(url: str, **changes) -> EndpointSection:
    return EndpointSection(
        **{"base_url": url, "model": "m", "retries": 1, "timeout_s": 5} | changes
    )


def questions(count: int) -> list[Question]:
    return [Question(({"role": "user", "content": f"question {i}"},)) for i in range(count)]


def in_pieces(response: Any) -> Response:
    """A body that is sent in pieces, without its length in front."""
    return StreamingResponse(response, media_type="application/json")


def echo(number: int, body: dict[str, Any]) -> Response:
    return completion(f"I answer {body['messages'][0]['content']}.")


def test_answers_come_in_order_within_the_allowed_width(tmp_path: Path):
    listener = Listener()
    with serving(echo) as server:
        found = write_thoughts(
            questions(20), endpoint(server.url, concurrency=3), tmp_path / "c", listener
        )
    assert found == [f"I answer question {i}." for i in range(20)]
    assert 1 < server.widest <= 3
    assert [done for _, done, _ in listener.steps] == list(range(21))


def test_nothing_is_asked_twice_even_after_a_failure_in_between(tmp_path: Path):
    def dies_after_five(number: int, body: dict[str, Any]) -> Response:
        return echo(number, body) if number < 5 else Response(status_code=401)

    cache = tmp_path / "c.sqlite"
    with serving(dies_after_five) as server, pytest.raises(EngineError):
        write_thoughts(questions(12), endpoint(server.url, concurrency=1), cache)
    with serving(echo) as server:
        found = write_thoughts(questions(12), endpoint(server.url), cache)
        assert len(server.bodies) == 7
        write_thoughts(questions(12), endpoint(server.url), cache)
        assert len(server.bodies) == 7
    assert None not in found


def test_a_run_killed_in_the_middle_asks_only_for_what_is_missing(tmp_path: Path):
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from tesuji.core.progress import Progress\n"
        "from tesuji.datasets.llm_endpoint import Question, write_thoughts\n"
        "from tesuji.recipe.schema.data import EndpointSection\n"
        "ask = [Question(({'role': 'user', 'content': f'question {i}'},)) for i in range(12)]\n"
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
        found = write_thoughts(questions(12), endpoint(server.url), cache)
        assert len(server.bodies) - before == 7
    assert found == [f"I answer question {i}." for i in range(12)]


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
        found = write_thoughts(questions(2), endpoint(server.url), tmp_path / "c")
    assert found == [None, "I answer question 1."]


def test_an_endpoint_that_only_answers_garbage_stops_the_stage(tmp_path: Path):
    with serving(lambda number, body: HTMLResponse("<html>login</html>")) as server:
        said = refusal(server.url, tmp_path)
    assert "no thoughts from http://127.0.0.1" in said
    assert "no chat completion: <html>login</html>" in said


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b" " * 100_000
        await asyncio.sleep(0)


async def trickling() -> AsyncIterator[bytes]:
    while True:
        yield b" "
        await asyncio.sleep(0.05)


async def broken_off() -> AsyncIterator[bytes]:
    yield b'{"choices": ['
    raise ConnectionAbortedError("the server's own fault")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (endless, "more than 1,000,000 bytes"),
        (trickling, "did not come to an end in time"),
        (broken_off, "incomplete"),
    ],
)
def test_a_body_without_an_end_is_not_read_for_ever(tmp_path: Path, body, words: str):
    with serving(lambda number, _: in_pieces(body())) as server:
        said = refusal(server.url, tmp_path, retries=0, timeout_s=0.5)
    assert words in said


def test_a_model_that_never_stops_thinking_is_named_as_the_cause(tmp_path: Path):
    cut = {"message": {"content": None, "reasoning": "Hm"}, "finish_reason": "length"}
    with serving(lambda number, body: JSONResponse({"choices": [cut]})) as server:
        said = refusal(server.url, tmp_path, retries=0)
    assert "still thinking at max_tokens" in said


def test_an_endpoint_that_goes_away_in_the_middle_stops_the_stage(tmp_path: Path):
    def dies(number: int, body: dict[str, Any]) -> Response:
        return echo(number, body) if number < 5 else Response("gone", status_code=503)

    with serving(dies) as server:
        said = refusal(server.url, tmp_path, retries=0, concurrency=1)
        assert len(server.bodies) == 5 + GIVE_UP_AFTER
    assert "503" in said


def asked_of(body: dict[str, Any]) -> int:
    return int(body["messages"][0]["content"].removeprefix("question "))


def test_questions_refused_one_by_one_do_not_keep_a_resumed_run_from_its_end(tmp_path: Path):
    def filtered(number: int, body: dict[str, Any]) -> Response:
        return echo(number, body) if asked_of(body) >= 12 else Response(status_code=400)

    with serving(filtered, delay=0) as server:
        once = endpoint(server.url, retries=0)
        for _ in range(2):  # the second time, the refused ones are all that is asked
            found = write_thoughts(questions(80)[::-1], once, tmp_path / "c")
            assert found.count(None) == 12


def test_too_many_questions_without_a_thought_stop_the_stage(tmp_path: Path):
    def every_other(number: int, body: dict[str, Any]) -> Response:
        return completion("" if asked_of(body) % 2 else "I win.")

    with serving(every_other, delay=0) as server, pytest.raises(EngineError) as caught:
        write_thoughts(questions(80), endpoint(server.url, retries=0), tmp_path / "c")
    assert "to 17 questions" in str(caught.value)


def test_a_model_that_is_not_there_is_asked_for_once(tmp_path: Path):
    missing = JSONResponse({"error": {"message": "no model m"}}, status_code=404)
    with serving(lambda number, body: missing) as server:
        said = refusal(server.url, tmp_path, concurrency=1)
        assert len(server.bodies) == 1
    assert "no model m" in said


def test_a_few_questions_without_one_answer_stop_the_stage_too(tmp_path: Path):
    with serving(lambda number, body: completion("")) as server:
        said = refusal(server.url, tmp_path, count=2, retries=0)
    assert "an answer without a text" in said


def refusal(url: str, folder: Path, count: int = 30, **changes) -> str:
    with pytest.raises(EngineError) as caught:
        write_thoughts(questions(count), endpoint(url, **changes), folder / "c")
    return str(caught.value)


def test_a_server_that_is_down_is_one_message(tmp_path: Path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
    said = refusal(url, tmp_path, retries=0)
    assert "Connection error" in said
    assert "stages.data.endpoint" in said
    assert "base_url" in said


def test_a_server_that_is_too_slow_is_one_message(tmp_path: Path):
    with serving(echo, delay=1) as server:
        said = refusal(server.url, tmp_path, retries=0, timeout_s=0.1)
    assert "timed out" in said


def test_a_refused_key_stops_at_once_and_is_nowhere_to_be_read(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("MY_KEY", SECRET)
    with serving(lambda number, body: JSONResponse({"error": SECRET}, status_code=401)) as server:
        said = refusal(server.url, tmp_path, api_key_env="MY_KEY", concurrency=1)
        assert len(server.bodies) == 1
        assert server.keys == [f"Bearer {SECRET}"]
    assert SECRET not in said
    assert "$MY_KEY" in said


def test_a_key_is_cut_from_any_message_whatever_it_looks_like(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("LOCAL", f" {PLAIN}\n")  # neither the name nor the value looks like a key
    telling = HTMLResponse(f"<p>{'x' * 150}{PLAIN} and {PLAIN}</p>")
    with serving(lambda number, body: telling) as server:
        said = refusal(server.url, tmp_path, api_key_env="LOCAL", retries=0)
        assert set(server.keys) == {f"Bearer {PLAIN}"}
    assert PLAIN[:6] not in said


def test_without_a_key_local_servers_are_asked_all_the_same(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(echo) as server:
        write_thoughts(questions(1), endpoint(server.url), tmp_path / "c")
        assert server.keys == ["Bearer none"]


@pytest.mark.parametrize("key", ["sk-…pasted", "two\nlines"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(tmp_path, monkeypatch, key):
    monkeypatch.setenv("MY_KEY", key)
    said = refusal("http://127.0.0.1:9/v1", tmp_path, api_key_env="MY_KEY")
    assert "$MY_KEY" in said
    assert key not in said


def test_the_key_is_not_in_the_cache_and_not_sent_elsewhere(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("MY_KEY", SECRET)
    with serving(echo) as other:
        with serving(
            lambda number, body: RedirectResponse(f"{other.url}/chat/completions")
        ) as first:
            refusal(first.url, tmp_path, api_key_env="MY_KEY", retries=0)
        assert other.bodies == []
        write_thoughts(questions(1), endpoint(other.url, api_key_env="MY_KEY"), tmp_path / "c")
    assert SECRET.encode() not in (tmp_path / "c").read_bytes()


def test_a_cache_that_cannot_be_written_is_one_message(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "broken").write_text("this is no database at all, but a text of some length")
    for path in (tmp_path / "file" / "c", tmp_path / "broken"):
        with pytest.raises(DataError, match="cannot write"):
            write_thoughts(questions(1), endpoint("http://127.0.0.1:9/v1"), path)


def test_without_the_client_it_says_how_to_get_it(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(EngineError, match="openai client"):
        write_thoughts(questions(1), endpoint("http://127.0.0.1:9/v1"), tmp_path / "c")


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
    text = thought_question(game, game.start(0), 0, Move(4, "x(1,1)")).messages[0]["content"]
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
        found = make_data(recipe, recipe.stages["data"], game, tmp_path)
        again = make_data(recipe, recipe.stages["data"], game, tmp_path)
    rows = list(read_rows(tmp_path / "train.jsonl"))
    assert found["rows_without_thought"] == again["rows_without_thought"] >= 1
    assert len(rows) == found["train_rows"] > 0
    assert all(row.reply.startswith("<think>\nI like it.\n</think>") for row in rows)
