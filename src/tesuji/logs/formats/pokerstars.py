"""PokerStars hand histories, read by pokerkit's parser and played again.

No-limit hold'em only, as that parser. What it would misread is refused instead: it skips antes,
straddles and dead blinds, so the pot would be wrong, and it mends a hand in which an action is
missing by inventing one.
"""

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

from pokerkit import HandHistory
from pokerkit.notation import PokerStarsParser
from pokerkit.utilities import parse_value

from tesuji.core.types import Episode
from tesuji.logs.base import Importer, Record, Refused, split_at
from tesuji.logs.poker.hand_to_episode import read_hand, refusing

_HEAD = re.compile(r"^\ufeff?PokerStars (?:[A-Z][A-Za-z]* )*(?:Hand|Game) #", re.MULTILINE)
_SKIPPED = re.compile(r"^.+: posts (?!(?:small|big) blind \D?[0-9.]).*$", re.MULTILINE)
_DEALT = re.compile(r"^Dealt to (.+) \[", re.MULTILINE)
_COLLECTED = re.compile(r"^(?P<player>.+?) collected \D?(?P<amount>[\d.,]+) from ", re.MULTILINE)
_ACTED = (
    PokerStarsParser.FOLDING,
    PokerStarsParser.CHECKING_OR_CALLING,
    PokerStarsParser.COMPLETION_BETTING_OR_RAISING,
)


class PokerStars(Importer):
    """Hand histories as PokerStars writes them."""

    kind: ClassVar[str] = "pokerstars"
    title: ClassVar[str] = "PokerStars hand histories (.txt, no-limit hold'em)"
    reads: ClassVar = "text"

    def fits(self, value: Any) -> bool:
        """Whether the text holds the head of a hand."""
        return isinstance(value, str) and _HEAD.search(value) is not None

    def split(self, text: str) -> Iterator[tuple[int, str]]:
        """The hands of a file; other text before the first hand is a record too, to be refused."""
        text = text.replace("\r\n", "\n")
        starts = [match.start() for match in _HEAD.finditer(text)]
        if not starts or text[: starts[0]].strip("\ufeff \t\r\n"):
            starts.insert(0, 0)
        return split_at(text, starts)

    def read(self, record: Record) -> Episode:
        """The hand. Raises Refused: `not_a_hand`, `unread_posts`, `missing_action` and what
        `read_hand` refuses."""
        text = record.value
        if not self.fits(text):
            raise Refused("not_a_hand", "no line begins with 'PokerStars Hand #'")
        text = text.replace("\r\n", "\n").lstrip("\ufeff").strip("\n") + "\n"
        if post := _SKIPPED.search(text):
            raise Refused("unread_posts", f"pokerkit does not read {post[0]!r:.120}")
        history = _parse(text)
        _check_actions(text, history)
        history = replace(history, winnings=_winnings(text, history))
        return read_hand(history, kind=self.kind, seat=_hero(text, history))


def _parse(text: str) -> HandHistory:
    """pokerkit prints the error it met and raises another; the first one is the one to tell."""
    hands: list[HandHistory] = []
    with refusing("unplayable"), contextlib.redirect_stderr(io.StringIO()):
        try:
            hands = list(HandHistory.from_pokerstars(text, error_status=True))
        except ValueError as error:
            raise error.__context__ or error from error
    if len(hands) != 1:
        raise Refused("not_a_hand", f"pokerkit finds {len(hands)} hands in it")
    return hands[0]


def _check_actions(text: str, history: HandHistory) -> None:
    """Every betting action of the history must stand in the text, in that order."""
    written = []
    for line in text.splitlines():
        acted = next((match for pattern in _ACTED if (match := pattern.search(line))), None)
        if acted:
            written.append(acted["player"])
    players = history.players or []
    read = [
        players[int(words[0][1:]) - 1]
        for action in history.actions
        if len(words := action.split()) >= 2 and words[1] in ("f", "cc", "cbr")
    ]
    if read != written:
        raise Refused("missing_action", "the text leaves out what a player did")


def _hero(text: str, history: HandHistory) -> int | None:
    """The seat of the one player whose cards the text tells before the showdown."""
    names = set(_DEALT.findall(text))
    players = history.players or []
    return players.index(names.pop()) if len(names) == 1 and names <= set(players) else None


def _winnings(text: str, history: HandHistory) -> list[Any] | None:
    """What each player collected. pokerkit reads it from the summary, where it misses the button,
    the blinds and everyone who showed cards."""
    collected: dict[str, Any] = {}
    for match in _COLLECTED.finditer(text.partition("*** SUMMARY ***")[0]):
        amount = parse_value(match["amount"])
        collected[match["player"]] = collected.get(match["player"], 0) + amount
    players = history.players or []
    if not collected or not collected.keys() <= set(players):
        return None
    return [collected.get(player, 0) for player in players]
