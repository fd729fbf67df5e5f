"""Cards of OpenSpiel's small pokers, read from what a seat is shown."""

import re
from collections.abc import Callable, Mapping

from tesuji.games.base import Match
from tesuji.games.picture import Cards, Hand

KUHN = ("J", "Q", "K")
LEDUC = ("J♠", "J♥", "Q♠", "Q♥", "K♠", "K♥")
BETS = {"p": "pass", "b": "bet"}
DOWN = "?"


def kuhn(match: Match, text: str, seat: int | None) -> Cards:
    """A seat is shown its card and what was bet ("2pb"); the whole is all cards, then that."""
    seats = len(match.returns())
    shown, bets = {seat: text[:1]}, text[1:]
    if seat is None:
        parts = text.split()
        shown, bets = dict(enumerate(parts[:seats])), "".join(parts[seats:])
    hands = [_hand(match, one, _face(shown.get(one), KUHN, seats == 2)) for one in range(seats)]
    return Cards(tuple(hands), ", ".join(BETS[bet] for bet in bets if bet in BETS))


def leduc(match: Match, text: str, seat: int | None) -> Cards:
    """A seat is shown its card and, once it lies there, the one on the table."""
    seats = len(match.returns())
    public, own = _leduc_cards(text, seat)
    hands = [_hand(match, one, _face(own.get(one), LEDUC, seats == 2)) for one in range(seats)]
    table = Hand("Table", (_face(public, LEDUC, seats == 2),))
    return Cards((table, *hands), _money(text))


def _leduc_cards(text: str, seat: int | None) -> tuple[str | None, dict[int, str]]:
    """(the card on the table, seat → card), as far as the text has them."""
    if seat is None:
        line = re.search(r"Cards[^:]*: ([-\d ]+)", text)
        public, *cards = line[1].split() if line else [""]
        return public, dict(enumerate(cards))
    table, own = re.search(r"\[Public: (\d+)\]", text), re.search(r"\[Private: (\d+)\]", text)
    return table[1] if table else None, {seat: own[1]} if own else {}


def _money(text: str) -> str:
    """The pot and what each has left."""
    pot, money = re.search(r"Pot: (\d+)", text), re.search(r"Money[^:]*: ([\d ]+)", text)
    parts = [f"pot {pot[1]}"] if pot else []
    return "; ".join([*parts, *([f"money {' and '.join(money[1].split())}"] if money else [])])


def _face(card: str | None, faces: tuple[str, ...], known: bool) -> str:
    """The face of card number `card`, `known` whether these faces are those of the pack."""
    if card is None or not card.isdigit():
        return DOWN
    return faces[int(card)] if known and int(card) < len(faces) else card


def _hand(match: Match, seat: int, card: str) -> Hand:
    return Hand(match.role(seat), (card,))


CARDS: Mapping[str, Callable[[Match, str, int | None], Cards]] = {
    "kuhn_poker": kuhn,
    "leduc_poker": leduc,
}
