"""An environment written with OpenEnv's own package, served by it, as a game of Tesuji."""

import random
import socket
import subprocess
import time

import httpx
import pytest
from places import ROOT
from python_beside import openenv_python

from tesuji.core.errors import EngineError, GameError
from tesuji.core.types import Ending, Move, Task
from tesuji.episodes.arena import play_matches
from tesuji.games.catalogue import load_game
from tesuji.players.base import OneByOne, Reply

pytestmark = pytest.mark.engines

TOY = ROOT / "tests" / "support" / "openenv_toy.py"
ROOM = 4


@pytest.fixture(scope="module")
def url():
    python = openenv_python()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
    server = subprocess.Popen([python, str(TOY), str(port), str(ROOM)])
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                httpx.get(f"{address}/health", timeout=5)
                break
            except httpx.TransportError:
                assert server.poll() is None, "the server ended"
                time.sleep(0.1)
        yield address
    finally:
        server.kill()
        server.wait()


def _number(seed: int, highest: int = 20) -> int:
    """As the environment draws it, from the seed that it is reset with."""
    return random.Random(seed % 2**31).randint(1, highest)


class Halving(OneByOne):
    """Guesses the middle of what is left."""

    name = "halving"

    def __init__(self, highest: int = 20) -> None:
        self.highest = highest

    def reply(self, request) -> Reply:
        low, high = 1, self.highest
        said = [turn.observation for turn in request.history[1:]] + [request.observation]
        for words in said[0 if request.history else 1 :]:
            guess, hint = words.split(": ")
            low, high = (int(guess) + 1, high) if hint == "more" else (low, int(guess) - 1)
        return Reply(text=f"I say {(low + high) // 2}.")


def test_matches_are_played_by_its_rules_and_rewards(url) -> None:
    game = load_game(f"openenv:{url}", {"sessions": ROOM})
    assert game.fields == ("prompt", "guess") and "random_replies" not in game.info.traits
    tasks = [Task(game.name, 2**40 + seed, ("halving",), game.options) for seed in range(20)]
    players = {"halving": Halving()}
    episodes = list(play_matches(tasks, game=game, players=players))
    assert len(episodes) == 20
    for episode in episodes:
        assert episode.turns[0].observation == "Guess the number between 1 and 20."
        last = episode.turns[-1].played.text
        assert last == f"I say {_number(episode.seed)}." and episode.ending is Ending.FINISHED
        assert episode.returns == pytest.approx((1.0 - 0.1 * (len(episode.turns) - 1),))
        assert [turn.reward for turn in episode.turns[:-1]] == pytest.approx(
            [-0.1] * (len(episode.turns) - 1)
        )


def test_arguments_of_a_reset_reach_it(url) -> None:
    game = load_game(f"openenv:{url}", {"highest": 3, "best": 1.0})
    match = game.start(5)
    assert match.observe(0) == "Guess the number between 1 and 3."
    match.play(0, Move(-1, str(_number(5, 3))))
    assert match.to_act == () and match.returns() == (1.0,)
    assert match.observe(0).endswith("Right.")


def test_a_lost_session_is_played_again(url) -> None:
    match = load_game(f"openenv:{url}").start(8)
    number = _number(8)
    match.play(0, Move(-1, str(number % 20 + 1)))
    match._session._socket.close()
    match.play(0, Move(-1, str(number)))
    assert match.to_act == () and match.returns() == pytest.approx((0.9,))


def test_no_room_is_an_engine_error(url) -> None:
    game = load_game(f"openenv:{url}", {"retries": 1})
    held = [game.start(seed) for seed in range(ROOM)]
    with pytest.raises(EngineError, match="no room") as refused:
        game.start(99)
    assert f"room for {ROOM}" in refused.value.hint
    held[0].forfeit(0)
    held[0] = game.start(99)
    assert held[0].to_act == (0,)
    for match in held:
        match.forfeit(0)


def test_an_environment_that_breaks_ends_one_match(url) -> None:
    class Wordless(OneByOne):
        name = "wordless"

        def reply(self, request) -> Reply:
            return Reply(text="no number in it")

    game = load_game(f"openenv:{url}")
    tasks = [Task(game.name, 1, ("wordless",)), Task(game.name, 2, ("halving",))]
    players = {"wordless": Wordless(), "halving": Halving()}
    one, two = sorted(play_matches(tasks, game=game, players=players), key=lambda e: e.seed)
    assert one.ending is Ending.ERROR and "the environment says" in one.reason
    assert two.ending is Ending.FINISHED


def test_fields_may_be_named(url) -> None:
    match = load_game(f"openenv:{url}", {"text": "tries_left"}).start(1)
    assert match.observe(0) == "5"
    with pytest.raises(GameError, match="needs guess as well"):
        load_game(f"openenv:{url}", {"action": "comment"})
