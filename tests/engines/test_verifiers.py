"""Tasksets written with verifiers, run by it in an environment of its own, as games of Tesuji."""

import json
import random
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from places import ROOT
from python_beside import verifiers_python
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tesuji.cli.main import main
from tesuji.core.errors import GameError
from tesuji.core.types import Ending, Move, Task
from tesuji.episodes.arena import play_matches
from tesuji.games.catalogue import load_game
from tesuji.games.openenv.verifiers import keeper
from tesuji.players.base import OneByOne, Reply

pytestmark = pytest.mark.engines

TOYS = ROOT / "tests" / "support" / "verifiers_toys"


@pytest.fixture(autouse=True)
def python(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(TOYS))
    return verifiers_python()


def _game(name: str, python_there: str, **options):
    return load_game(f"verifiers:{name}", {"python": python_there, **options})


def _process(mark: str) -> subprocess.Popen[str]:
    [bridge] = [bridge for which, bridge in keeper._RUNNING.items() if mark in which]
    return bridge.process


def test_one_reply_each_and_the_rewards_of_the_taskset(python) -> None:
    game = _game("toy_sums", python, count=4, best=1.5)
    match = game.start(3)
    assert [dict(message) for message in match.messages(0)] == [
        {"role": "system", "content": "Reply with the number."},
        {"role": "user", "content": "3 + 3 = ?"},
    ]
    match.play(0, Move(-1, "6"))
    assert match.to_act == () and match.returns() == (1.5,)
    assert match.facts()["openenv"]["rewards"] == {"right": 1.0, "short": 0.5}
    worse = game.start(3 + 4)  # there are four tasks
    worse.play(0, Move(-1, "it may be 6"))
    assert worse.returns() == (1.0,)


class Halving(OneByOne):
    """Guesses the middle of what is left."""

    name = "halving"

    def reply(self, request) -> Reply:
        low, high = 1, 20
        hints = [turn.observation for turn in request.history] + [request.observation]
        for words in hints[1:]:
            guess, hint = words.split(": ")
            low, high = (int(guess) + 1, high) if hint == "more" else (low, int(guess) - 1)
        return Reply(text=f"I say {(low + high) // 2}.")


def test_several_turns_and_many_matches_at_once(python) -> None:
    game = _game("toy_number", python)
    tasks = [Task(game.name, seed, ("halving",), game.options) for seed in range(12)]
    episodes = list(play_matches(tasks, game=game, players={"halving": Halving()}))
    assert len(episodes) == 12 and len({len(episode.turns) for episode in episodes}) > 1
    for episode in episodes:
        number = random.Random(episode.seed).randint(1, 20)
        assert episode.turns[-1].played.text == f"I say {number}."
        assert episode.returns == pytest.approx((1.0 - 0.1 * len(episode.turns),))
    match = game.start(1)
    match.play(0, Move(-1, "20"))
    assert [message["role"] for message in match.messages(0)] == ["user", "assistant", "user"]


def test_a_taskset_that_breaks_ends_one_match(python) -> None:
    class Wordless(OneByOne):
        name = "wordless"

        def reply(self, request) -> Reply:
            return Reply(text="no number in it")

    game = _game("toy_number", python)
    tasks = [Task(game.name, 1, ("wordless",)), Task(game.name, 2, ("halving",))]
    players = {"wordless": Wordless(), "halving": Halving()}
    one, two = sorted(play_matches(tasks, game=game, players=players), key=lambda e: e.seed)
    assert one.ending is Ending.ERROR and "the environment says" in one.reason
    assert two.ending is Ending.FINISHED


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("toy_pair", {}, "several agents: first, second"),
        ("no_such_taskset", {}, "not found"),
        ("toy_sums", {"colour": "blue"}, "colour"),
        ("toy_sums", {"count": 0}, "no tasks"),
        ("toy_sums", {"python": "/no/such/python"}, "no Python"),
        ("--help", {}, "names no taskset"),
    ],
)
def test_what_cannot_be_is_refused(python, name, options, words) -> None:
    with pytest.raises(GameError, match=words):
        _game(name, python, **options)


def test_a_run_learns_on_a_taskset(python, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = f"""
name: sums
game: {{name: "verifiers:toy_sums", options: {{python: {python}, best: 1.5}}}}
model:
  base: tiny
  tiny: {{hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 4, intermediate_size: 32}}
sampling: {{max_new_tokens: 2}}
stages:
  grpo: {{max_steps: 2, batch_size: 8, num_generations: 4}}
evaluation: {{episodes: 5}}
"""
    (tmp_path / "sums.yaml").write_text(recipe)
    assert main(["run", "sums.yaml"]) == 0
    after = json.loads((tmp_path / "runs/sums/stages/02-after/evaluation.json").read_text())
    [score] = after["matches"]
    assert score["games"] == 5 and 0 <= score["mean_return"] <= 1.5


def test_a_bridge_that_died_is_started_again(python) -> None:
    game = _game("toy_sums", python, count=7)
    match = game.start(1)
    bridge = _process('"count": 7')
    bridge.kill()
    bridge.wait()
    match.play(0, Move(-1, "2"))
    assert match.returns() == (1.5,)


def test_secrets_stay_here(python, monkeypatch) -> None:
    monkeypatch.setenv("A_SECRET_OF_MINE", "hush")
    _game("toy_sums", python, count=8).start(1)
    number = _process('"count": 8').pid
    seen = Path(f"/proc/{number}/environ").read_bytes()
    assert b"hush" not in seen and b"PYTHONPATH" in seen


def test_whoever_has_no_key_is_not_answered(python) -> None:
    game = _game("toy_sums", python, count=9)
    assert httpx.get(f"{game.url}/schema").status_code == 401
    with pytest.raises(InvalidStatus), connect(f"{game.url.replace('http', 'ws')}/ws"):
        pass


def test_a_match_that_is_left_is_ended_there(python) -> None:
    game = _game("toy_number", python)
    for seed in range(20):
        game.start(seed)  # and nobody holds it
    whole = game.start(3)
    whole.play(0, Move(-1, str(random.Random(3).randint(1, 20))))
    assert whole.returns() == pytest.approx((0.9,))
    bridge = game.bridge.process
    bridge.stdin.close()
    assert bridge.wait(timeout=20) == 0


def test_no_process_is_left(python) -> None:
    code = (
        "from tesuji.games.catalogue import load_game\n"
        "from tesuji.games.openenv.verifiers.keeper import _RUNNING\n"
        f"load_game('verifiers:toy_sums', {{'python': {python!r}}}).start(1)\n"
        "print(*[bridge.process.pid for bridge in _RUNNING.values()])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    alive = subprocess.run(["kill", "-0", done.stdout.strip()], capture_output=True)
    assert alive.returncode != 0


def test_without_an_environment_the_hint_says_how_to_make_one(monkeypatch) -> None:
    monkeypatch.delenv(keeper.VARIABLE, raising=False)
    with pytest.raises(GameError) as refused:
        load_game("verifiers:toy_sums")
    assert "pip install verifiers" in refused.value.hint
