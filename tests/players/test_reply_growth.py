"""No reader of replies takes a square of a reply's length: who writes them may be anybody."""

import random
from collections.abc import Callable

import pytest
from growth import SHAPES, grows_too_fast

from tesuji.core.types import Move
from tesuji.datasets.from_logs.candidates import action_of
from tesuji.datasets.from_logs.strategy_words import indicators, quality
from tesuji.datasets.judge import verdict
from tesuji.datasets.llm_endpoint import tidy
from tesuji.games.bfcl.calls import read_calls
from tesuji.games.catalogue import load_game
from tesuji.games.poker.read_decision import decision_in
from tesuji.games.textarena import secretmafia
from tesuji.games.textarena.random_replies import random_reply
from tesuji.games.textarena.secretmafia import voted_out
from tesuji.logs.formats.mafia_outcome import broke_off, claim
from tesuji.logs.poker.pokerbench_text import decision_text
from tesuji.players.mafia.knowledge import Knowledge
from tesuji.players.prompting.parse_reply import read_reply

BOARD = tuple(Move(n, f"o({n // 3},{n % 3})") for n in range(9))
MENU = tuple(Move(n, text) for n, text in enumerate(("fold", "call", "raise to 6", "all-in")))
MANY = tuple(Move(n, f"a{n}b{n} move") for n in range(100))
SEATS = tuple(map(secretmafia.naming, range(6)))


def of_game(name: str) -> Callable[[str], object]:
    match = load_game(name, {}).start(1)
    [seat] = match.to_act
    return lambda text: read_reply(
        text, match.legal_moves(seat), reader=lambda reply: match.read(seat, reply)
    )


def transcript(text: str) -> object:
    """All that is looked for in what SecretMafia showed a player."""
    return [
        [secretmafia.last_message(text), secretmafia.targets(text), secretmafia.eliminated(text)],
        [list(secretmafia.messages(text)), secretmafia.findings(text), secretmafia.mates_in(text)],
        [secretmafia.seats_in(text), secretmafia.seat_in(text), secretmafia.role_in(text)],
        [secretmafia.day_broke(text), secretmafia.departure(text), secretmafia.refused_in(text)],
    ]


READERS: dict[str, Callable[[str], object]] = {
    "a move by its text": lambda text: read_reply(text, BOARD),
    "a move by its number": lambda text: read_reply(text, BOARD, prefer="id"),
    "a move of a menu": lambda text: read_reply(text, MENU),
    "a move of many": lambda text: read_reply(text, MANY),
    "free text": lambda text: read_reply(text, None),
    "poker": of_game("holdem"),
    "a decision": decision_in,
    "a cell of PokerBench": decision_text,
    "its action": action_of,
    "calls": read_calls,
    "SecretMafia": lambda text: secretmafia.read_action(text, "voting", SEATS, wrapped=True),
    "SecretMafia's transcript": transcript,
    "a speech to a scripted player": lambda text: Knowledge().read(f"[GAME] hm\n[Player 1] {text}"),
    "a bare bracket": secretmafia.bare_bracket,
    "random replies": lambda text: random_reply(text, random.Random(1)),
    "who was voted out": voted_out,
    "words of strategy": lambda text: (quality(text, won=True, role="Mafia"), indicators(text)),
    "an outcome": lambda text: (claim(text, "Mafia"), broke_off(text)),
    "a thought": tidy,
    "a verdict": verdict,
}
FRAMES = {"bare": "{}", "in words": "a {} !", "after raise": "raise to {}x", "in brackets": "[{}]"}


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("reader", READERS)
def test_reading_takes_no_square_of_the_length(reader: str, frame: str) -> None:
    read = READERS[reader]
    before, after = FRAMES[frame].split("{}")
    slow = {
        name: grows_too_fast(lambda text: read(before + text + after), shape)
        for name, shape in SHAPES.items()
    }
    assert not {name: found for name, found in slow.items() if found}
