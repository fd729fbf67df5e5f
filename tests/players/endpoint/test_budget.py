"""Budgets: the run stops before they are exceeded, and nothing makes it forget what was spent."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import llm_server
import pytest
from fastapi.responses import Response
from llm_server import completion, first_legal, play, player, serving

from tesuji.core.errors import EndpointError
from tesuji.core.types import Ending
from tesuji.players.endpoint.budget import SPENDING, Ledger, recorded_in

PRICES = {"input_price": 1000.0, "output_price": 2000.0, "max_tokens": 20}
COST = (1000 * 50 + 2000 * 5) / 1e6  # of what `first_legal` says that it read and wrote


def test_requests_end_at_the_budget_and_go_on_with_a_larger_one(tmp_path: Path):
    with serving(first_legal) as server, recorded_in(tmp_path / SPENDING):
        with pytest.raises(EndpointError) as caught:
            play(player(server.url, tmp_path, max_requests=17), 12)
        assert len(server.bodies) == 17
    assert "budget of 17 requests does not allow another" in caught.value.what
    assert (
        "asked m at http://127.0.0.1" in caught.value.what and "17 requests, 8" in caught.value.what
    )
    assert caught.value.where == "player: openai(m).max_requests"
    assert "raise max_requests" in caught.value.hint
    with recorded_in(tmp_path / SPENDING), pytest.raises(EndpointError):
        play(player(server.url, tmp_path, max_requests=17), 12)  # nothing is asked: it is gone
    with serving(first_legal) as back:
        cheap = play(player(back.url, tmp_path / "other"), 12)
        whole = len(back.bodies)
    assert whole > 17 and {episode.ending for episode in cheap} == {Ending.FINISHED}


def test_what_was_paid_for_is_not_paid_for_again(tmp_path: Path):
    with serving(first_legal) as server:
        with recorded_in(tmp_path / SPENDING), pytest.raises(EndpointError):
            play(player(server.url, tmp_path, max_requests=17), 12)
        with recorded_in(tmp_path / SPENDING) as spent:
            episodes = play(player(server.url, tmp_path, max_requests=1000), 12)
            [row] = spent.spent()
        turns = [t for e in episodes for t in e.turns if t.seat == 0]
        assert len(server.bodies) == row.requests == len(turns)
    assert (row.read, row.written) == (50 * len(turns), 5 * len(turns))


def test_dollars_are_never_more_than_allowed_however_many_ask_at_once(tmp_path: Path):
    with serving(first_legal) as server, recorded_in(tmp_path / SPENDING) as spent:
        with pytest.raises(EndpointError) as caught:
            play(player(server.url, tmp_path, max_dollars=4.0, concurrency=8, **PRICES), 40)
        [row] = spent.spent()
        assert row.dollars == pytest.approx(COST * len(server.bodies)) and row.dollars <= 4.0
        worst = 4.0 - row.dollars  # what is left did not allow one more at its worst
        assert worst < 1.5 and len(server.bodies) > 30
    assert "the budget of $4 does not" in caught.value.what


def test_every_try_counts_and_errors_cost_nothing_but_lost_answers_may(tmp_path: Path):
    answers = [Response(status_code=500), Response(b"garbage"), Response(status_code=503)]

    def at_last(number: int, body: dict[str, Any]) -> Response:
        return answers[number] if number < 3 else completion("x(1,1)", usage=(50, 5))

    with serving(at_last) as server, recorded_in(tmp_path / SPENDING) as spent:
        them = player(server.url, tmp_path, retries=3, max_requests=4, max_dollars=100, **PRICES)
        with pytest.raises(EndpointError, match="4 requests"):
            play(them, matches=1)
        [row] = spent.spent()
    assert row.requests == 4 and (row.read, row.written) == (50, 5)
    assert COST + 0.3 < row.dollars < COST + 2  # the garbage, at its worst


def test_without_usage_an_answer_counts_as_its_worst(tmp_path: Path):
    def silent(number: int, body: dict[str, Any]) -> Response:
        return completion("x(1,1)")

    with serving(silent) as server, recorded_in(tmp_path / SPENDING) as spent:
        with pytest.raises(EndpointError):
            play(player(server.url, tmp_path, max_dollars=3.0, **PRICES), 12)
        [row] = spent.spent()
        assert row.dollars <= 3.0 and row.dollars / len(server.bodies) > 10 * COST


def test_a_kill_forgets_nothing_that_was_sent(tmp_path: Path):
    code = (
        "import sys; from pathlib import Path\n"
        "from llm_server import play, player\n"
        "from tesuji.players.endpoint.budget import SPENDING, recorded_in\n"
        "folder = Path(sys.argv[2])\n"
        "with recorded_in(folder / SPENDING):\n"
        "    play(player(sys.argv[1], folder, concurrency=4, max_requests=60), 40)\n"
    )
    with serving(first_legal, delay=0.05) as server:
        command = [sys.executable, "-c", code, server.url, str(tmp_path)]
        path = str(Path(llm_server.__file__).parent)
        with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}) as process:
            while len(server.bodies) < 20 and process.poll() is None:
                time.sleep(0.01)
            process.kill()
        sent = len(server.bodies)
        [row] = Ledger(tmp_path / SPENDING).spent()
        assert 20 <= sent <= row.requests <= sent + 4
        with recorded_in(tmp_path / SPENDING), pytest.raises(EndpointError):
            play(player(server.url, tmp_path, concurrency=4, max_requests=60), 40)
        assert len(server.bodies) <= 60


def test_two_sections_of_one_model_pay_from_one_purse_and_other_models_from_theirs(tmp_path: Path):
    with serving(first_legal) as server, recorded_in(tmp_path / SPENDING) as spent:
        play(player(server.url, tmp_path), matches=2)
        play(player(server.url, tmp_path, temperature=0.2), matches=2)
        play(player(server.url, tmp_path, model="other"), matches=2)
        first, second = spent.spent()
        assert first.requests + second.requests == len(server.bodies)
        assert first.requests > second.requests > 0
        assert second.words.startswith(f"asked other at {server.url}: {second.requests} requests, ")
