"""What replies at a poker table come to: any bet in words, and the easy ways to cheat a reward."""

from collections.abc import Sequence

import pytest

from tesuji.core.types import Ending, Episode, Found, Task
from tesuji.episodes.arena import play_matches
from tesuji.episodes.reply_rules import TurnRules
from tesuji.games.catalogue import load_game
from tesuji.games.poker.hand import PokerMatch
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.players.basic.scripted import ScriptedPlayer
from tesuji.players.prompting.parse_reply import read_reply

TEXT = {"bets": "text", "small_blind": 50, "big_blind": 100, "stack": 10_000}


class Says(Player):
    """Gives the same reply to everything, or what it makes of the question."""

    name = "says"

    def __init__(self, text: str) -> None:
        self.text = text

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        """The reply; `{prompt}` in it stands for the question."""
        return [Reply(text=self.text.replace("{prompt}", r.observation)) for r in requests]


def at_start(**options: object) -> PokerMatch:
    match = load_game("holdem", {**TEXT, **options}).start(3)
    assert isinstance(match, PokerMatch)
    return match


def read(match: PokerMatch, text: str) -> tuple[str | None, str]:
    [seat] = match.to_act
    attempt = read_reply(text, match.legal_moves(seat), reader=lambda said: match.read(seat, said))
    return (attempt.move.text if attempt.move else None), attempt.problem


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("raise to 250", "raise to 250"),
        ("RAISE 250", "raise to 250"),
        ("I raise to 2.5bb.", "raise to 250"),
        ("<think>fold or shove?</think>raise to 1,200", "raise to 1200"),
        ("raise to 4", "raise to 200"),  # not move 4, all-in: the nearest legal bet
        ("raise to 150", "raise to 200"),
        ("raise", "raise to 200"),
        ("bet 300", "raise to 300"),
        ("raise to 9999", "raise to 9999"),
        ("raise to 10000", "all-in"),
        ("raise to 999999999999999999999999", "all-in"),
        ("raise to " + "9" * 400, "all-in"),
        ("shove", "all-in"),
        ("half pot", "raise to 200"),
        ("raise half the pot", "raise to 200"),
        ("bet pot", "raise to 300"),
        ("raise to 75% pot", "raise to 250"),
        ("2/3 pot", "raise to 233"),
        ("The pot is 150, so I call.", "call"),
        ("call 50", "call"),
        ("fold", "fold"),
        ("3", "raise to 300"),  # the ID in the list
        ("check", None),
        ("raise by 200", None),
        ("fold or call", None),
        ("raise to 200 or 300", None),
        ("banana", None),
        ("bet 1/0 pot", None),
        ("", None),
    ],
)
def test_any_bet_in_words(text: str, wanted: str | None) -> None:
    match = at_start()
    found, problem = read(match, text)
    assert found == wanted and bool(problem) == (wanted is None)
    assert match.moves == []


def test_a_bet_between_those_of_the_list_is_played_and_replayed() -> None:
    [episode] = play([Says("raise to 275"), ScriptedPlayer(prefer=["call", "check"])])
    turn = episode.turns[0]
    assert (turn.played, turn.attempts[0].found) == ((-1, "raise to 275"), Found.EXACT)
    match = load_game("holdem", TEXT).start(episode.seed)
    for turn in episode.turns:
        assert turn.played is not None and match.observe(turn.seat) == turn.observation
        match.play(turn.seat, turn.played)
    assert match.returns() == episode.returns


def test_nobody_is_asked_for_more_than_is_at_stake() -> None:
    match = at_start(stacks="300 10000")
    assert read(match, "raise to 5000")[0] == "raise to 5000"
    match.play(1, match.legal_moves(1)[-1])
    assert [move.text for move in match.legal_moves(0)] == ["fold", "call"]
    assert read(match, "all-in")[0] == "call"
    assert read(match, "raise to 9000") == (None, "no bet is allowed here")


def play(players: Sequence[Player], hands: int = 1, **options: object) -> list[Episode]:
    """Hands in which the first player has the button, seat 1, and the second one seat 0."""
    game = load_game("holdem", {**TEXT, **options})
    tasks = [Task(game.name, seed, ("b", "a"), game.options) for seed in range(hands)]
    named = dict(zip(("a", "b"), players, strict=True))
    return list(play_matches(tasks, game=game, players=named, rules=TurnRules()))


CHEATS = {
    "empty": "",
    "tags": "<think></think>" * 50,
    "open thought": "<think>call",
    "repeated tags": "<think>a</think><think>b</think>",
    "all answers": "fold\ncall\nraise to 200\nraise to 300\nall-in",
    "all numbers": "0 1 2 3 4",
    "giant": "call " * 10_000,
    "giant number": "raise to 1 2 3 4 5 6 7 8 9 " * 2_000,
    "echo": "{prompt}",
    "echo and answer": "{prompt} fold, call or all-in",
}


@pytest.mark.parametrize("bets", ["menu", "text"])
@pytest.mark.parametrize("cheat", CHEATS)
def test_no_reply_without_one_decision_earns_more_than_a_fold(bets: str, cheat: str) -> None:
    passive = ScriptedPlayer(prefer=["check", "call"])
    folded = play([ScriptedPlayer(prefer=["fold", "check"]), passive], hands=3, bets=bets)
    cheated = play([Says(CHEATS[cheat]), passive], hands=3, bets=bets)
    for ours, theirs in zip(cheated, folded, strict=True):
        assert ours.ending is Ending.FORFEIT and ours.offender == 1
        assert not any(turn.move for turn in ours.turns if turn.seat == 1)
        assert ours.returns == theirs.returns == (0.5, -0.5)
