"""Players of other people that raise, hang, or answer nonsense; one label for several games."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from tesuji.core.errors import EngineError, TesujiError
from tesuji.core.types import Ending, Move, Task
from tesuji.episodes.arena import play_matches
from tesuji.games.catalogue import load_game
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.players.basic.random import RandomPlayer
from tesuji.players.by_game import ByGame
from tesuji.players.guarded_player import GuardedPlayer
from tesuji.recipe.schema.play import OpponentSection

TTT = load_game("tic_tac_toe")
KUHN = load_game("kuhn_poker", {"players": 3})


class Engine(RandomPlayer):
    """Plays at random after a hook has seen the requests."""

    name = "engine"

    def __init__(self, hook: Callable[[Sequence[MoveRequest]], object]) -> None:
        self.hook = hook
        self.batches: list[int] = []

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        self.batches.append(len(requests))
        self.hook(requests)
        return super().choose(requests)


class Says(Player):
    """Returns whatever it was given."""

    name = "says"

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        return self.answer  # type: ignore[return-value]


def request(seed=1, game=TTT) -> MoveRequest:
    match = game.start(1)
    [seat] = match.to_act
    return MoveRequest(game, match, seat, match.observe(seat), match.legal_moves(seat), seed)


def raise_for(*seeds: int, error: type[BaseException] = ValueError):
    def hook(requests):
        if any(request.seed in seeds for request in requests):
            raise error("bad position")

    return hook


def test_a_good_player_is_asked_once_and_answers_as_without_a_guard():
    engine = Engine(lambda requests: None)
    asked = [request(seed) for seed in range(9)]
    assert GuardedPlayer(engine).choose(asked) == RandomPlayer().choose(asked)
    assert engine.batches == [9]
    assert GuardedPlayer(engine).name == "engine"


def test_an_exception_costs_only_the_requests_that_cause_it():
    engine = Engine(raise_for(1, 3))
    player = GuardedPlayer(engine)
    replies = player.choose([request(seed) for seed in range(5)])
    assert [reply.error for reply in replies] == [
        *("", "ValueError: bad position", "", "ValueError: bad position", "")
    ]
    assert engine.batches == [5, 1, 1, 1, 1, 1]
    assert player.choose([request(7)])[0].move is not None


def test_an_error_of_ours_is_a_reply_too():
    player = GuardedPlayer(Engine(raise_for(1, error=EngineError)))
    assert "bad position" in player.choose([request(1)])[0].error


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_passes(error):
    player = GuardedPlayer(Engine(raise_for(1, error=error)))
    with pytest.raises(error):
        player.choose([request(1)])
    assert player.choose([request(2)])[0].move is not None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "TypeError"),
        ([], "0 replies to 1 requests"),
        (["x(0,0)"], "AttributeError"),
        ([Reply(move=Move(99, "x(9,9)"))], "chose 'x(9,9)', which is not legal here"),
    ],
)
def test_nonsense_is_an_error_reply(answer, said):
    [reply] = GuardedPlayer(Says(answer)).choose([request()])
    assert said in reply.error


def test_a_player_that_hangs_is_given_up():
    release = threading.Event()
    engine = Engine(lambda requests: release.wait(30))
    player = GuardedPlayer(engine, timeout_s=0.1)
    started = time.monotonic()
    replies = player.choose([request(seed) for seed in range(50)])
    assert {reply.error for reply in replies} == {"did not answer within 0.1 s"}
    assert len(replies) == 50
    again = player.choose([request(1), request(2)])
    assert [reply.error for reply in again] == ["did not answer within 0.1 s"] * 2
    assert time.monotonic() - started < 5
    assert engine.batches == [50]
    release.set()


def test_all_calls_share_one_thread():
    threads = set()
    player = GuardedPlayer(Engine(lambda requests: threads.add(threading.get_ident())))
    for seed in range(20):
        player.choose([request(seed)])
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


def test_a_hanging_player_does_not_keep_the_program_from_ending():
    code = """
import time
from tesuji.players.base import Player
from tesuji.players.guarded_player import GuardedPlayer
class Hangs(Player):
    name = "hangs"
    def choose(self, requests):
        time.sleep(600)
print(GuardedPlayer(Hangs(), timeout_s=0.1).choose([None])[0].error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "did not answer within 0.1 s")


def test_a_failing_opponent_ends_its_matches_and_not_the_run():
    tasks = [Task("tic_tac_toe", seed, ("random", "engine")) for seed in range(6)]
    fails = iter([True, True, *[False] * 99])

    def sometimes(requests):
        if next(fails):
            raise OSError("pipe")

    players = {"random": RandomPlayer(), "engine": GuardedPlayer(Engine(sometimes))}
    episodes = list(play_matches(tasks, game=TTT, players=players))
    endings = [episode.ending for episode in episodes]
    assert endings.count(Ending.ERROR) == 1
    assert endings.count(Ending.FINISHED) == 5
    [failed] = [episode for episode in episodes if episode.ending is Ending.ERROR]
    assert (failed.reason, failed.offender) == ("engine: OSError: pipe", 1)


# One label, several games


def test_each_game_gets_a_player_of_its_own_and_replies_keep_their_order():
    player = ByGame(OpponentSection(player="random", weight=3.0))
    asked = [request(1), request(2, KUHN), request(3), request(4, KUHN)]
    assert player.name == "random"
    assert player.choose(asked) == RandomPlayer().choose(asked)


def test_players_are_made_once_per_game_and_options(monkeypatch):
    made = []

    def make(section, *, game):
        made.append((game.name, dict(game.options)))
        return RandomPlayer()

    monkeypatch.setattr("tesuji.players.by_game.make_player", make)
    player = ByGame(OpponentSection(player="random"), games=[TTT])
    assert made == [("tic_tac_toe", {})]
    for game in (TTT, KUHN, load_game("kuhn_poker", {"players": 2}), KUHN):
        player.choose([request(1, game)])
    assert [name for name, _ in made] == ["tic_tac_toe", "kuhn_poker", "kuhn_poker"]


def test_a_game_the_player_cannot_play_is_found_before_anything_runs():
    with pytest.raises(TesujiError, match="cannot play kuhn_poker"):
        ByGame(OpponentSection(player="minimax"), games=[TTT, KUHN])


def test_several_games_are_played_in_one_call():
    games = {"tic_tac_toe": TTT, "kuhn_poker": KUHN}
    label = "mcts(simulations=4)"
    player = ByGame(OpponentSection.model_validate({"player": "ismcts", "simulations": 4}))
    assert player.name == "ismcts(simulations=4)"
    section = OpponentSection.model_validate({"player": "mcts", "simulations": 4, "weight": 2.0})
    assert ByGame(section).name == label
    tasks = [
        Task(name, seed, ("it",) * game.num_players, game.options)
        for seed in range(3)
        for name, game in games.items()
    ]
    players = {"it": GuardedPlayer(ByGame(OpponentSection(player="random")))}
    episodes = list(play_matches(tasks, game=lambda task: games[task.game], players=players))
    assert sorted(episode.game for episode in episodes) == ["kuhn_poker"] * 3 + ["tic_tac_toe"] * 3
    assert {episode.ending for episode in episodes} == {Ending.FINISHED}
