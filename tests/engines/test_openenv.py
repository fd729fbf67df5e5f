"""OpenEnv's own validator and client against a game that Tesuji serves, in an environment of their
own, which these tests make (a minute)."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from places import ROOT
from python_beside import openenv_python
from served import served

from tesuji.games.catalogue import load_game
from tesuji.serve.env.app import make_app
from tesuji.serve.env.offer import Offer

pytestmark = pytest.mark.engines

TALK = ROOT / "tests" / "support" / "openenv_talk.py"


@pytest.fixture(scope="module")
def python():
    return openenv_python()


@pytest.fixture(scope="module")
def url():
    with served(make_app(Offer(load_game("tic_tac_toe"), "minimax"))) as address:
        yield address


def _play(python: str, url: str, which: str = "first", **arguments):
    command = [python, str(TALK), url, json.dumps(arguments), which]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_validator_finds_nothing_wrong(python, url) -> None:
    command = [python, "-m", "openenv.cli", "validate", "--url", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASS ") == 6 and "FAIL" not in done.stdout, done.stdout


def test_the_client_plays_a_match(python, url) -> None:
    played = _play(python, url, seed=7, unknown_argument=True)
    assert played["rewards"][0] is None and played["rewards"][-1] == -1  # against minimax
    assert played["told"]["returns"] == [-1, 1] and played["told"]["ending"] == "finished"
    assert played["state"]["seed"] == 7 and played["state"]["step_count"] == len(played["seen"]) - 1


def test_several_clients_at_once_and_seeds(python, url) -> None:
    arguments = [{"seed": seed, "opponent": "random"} for seed in (1, 2, 1)]
    with ThreadPoolExecutor(3) as pool:
        one, two, again = pool.map(lambda asked: _play(python, url, **asked), arguments)
    assert one["seen"] == again["seen"] and one["seen"] != two["seen"]


def test_the_client_plays_all_seats(python, url) -> None:
    played = _play(python, url, "last", seat="all", game="kuhn_poker", seed=3)
    seats = [seen["seat"] for seen in played["seen"]]
    assert seats[:2] == [0, 1] and seats[-1] is None
    assert sum(played["told"]["returns"]) == 0
