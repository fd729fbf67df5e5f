"""PokerStars hand histories of no-limit hold'em: `logs/poker/pokerstars_text.py` reads the lines,
pokerkit plays the hand again."""

from collections.abc import Iterator
from typing import Any, ClassVar

from tesuji.core.types import Episode
from tesuji.logs.base import Importer, Record, Refused, split_at
from tesuji.logs.poker.hand_to_episode import read_hand, refusing
from tesuji.logs.poker.pokerstars_text import HEAD, read_hand_text


class PokerStars(Importer):
    """Hand histories as PokerStars writes them."""

    kind: ClassVar[str] = "pokerstars"
    title: ClassVar[str] = "PokerStars hand histories (.txt, no-limit hold'em)"
    reads: ClassVar = "text"
    most_text: ClassVar[tuple[int, int]] = (32_000, 500)

    def fits(self, value: Any) -> bool:
        """Whether the text holds the head of a hand."""
        return isinstance(value, str) and HEAD.search(value) is not None

    def split(self, text: str) -> Iterator[tuple[int, str]]:
        """The hands of a file; other text before the first hand is a record too, to be refused,
        unless it only numbers it ("*** # 1 ***", as hands sent by mail are)."""
        text = text.replace("\r\n", "\n")
        starts = [match.start() for match in HEAD.finditer(text)]
        if not starts or text[: starts[0]].strip("\ufeff \t\r\n*#0123456789"):
            starts.insert(0, 0)
        return split_at(text, starts)

    def read(self, record: Record) -> Episode:
        """The hand. Raises Refused: `not_a_hand`, `unread_posts`, `unread_amount` and what
        `read_hand` refuses."""
        text = record.value
        if not self.fits(text):
            raise Refused("not_a_hand", "no line begins with 'PokerStars Hand #'")
        with refusing("unplayable"):
            hand = read_hand_text(text.replace("\r\n", "\n").lstrip("\ufeff\n"))
        return read_hand(hand.history, kind=self.kind, seat=hand.hero, ended=hand.ended)
