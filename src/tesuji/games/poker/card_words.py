"""Cards, hands and chips in words. Only what is true of the cards, and the class pokerkit finds."""

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from math import isfinite

from pokerkit import Card, Hand, Label

ORDER = "A23456789TJQKA"
RANKS = {
    "2": "two", "3": "three", "4": "four", "5": "five", "6": "six", "7": "seven", "8": "eight",
    "9": "nine", "T": "ten", "J": "jack", "Q": "queen", "K": "king", "A": "ace",
}  # fmt: skip
HIGH = {rank: value for value, rank in enumerate("23456789TJQKA")}


def chips(amount: int | float | Decimal) -> str:
    """An amount without needless zeros: "300", "0.5"; "any number of" where it is not known."""
    if not isfinite(amount):
        return "an unknown number of"
    text = f"{Decimal(str(amount)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def cards_text(cards: Iterable[Card]) -> str:
    """The cards in poker notation: "Ah Kh"; an unknown one as "??"."""
    return " ".join(repr(card) for card in cards)


def plural(rank: str) -> str:
    """The rank's plural: "sixes"."""
    return f"{RANKS[rank]}es" if rank == "6" else f"{RANKS[rank]}s"


def starting_hand(cards: Sequence[Card]) -> str:
    """What two hole cards are: "a pocket pair of nines", "ace-king suited, connectors".

    Connectors are next to each other in rank, the ace beside the king and beside the two.
    """
    high, low = sorted((card.rank.value for card in cards), key=HIGH.__getitem__, reverse=True)
    if high == low:
        return f"a pocket pair of {plural(high)}"
    suits = "suited" if cards[0].suit == cards[1].suit else "offsuit"
    beside = f"{low}{high}" in ORDER or f"{high}{low}" in ORDER
    return f"{RANKS[high]}-{RANKS[low]} {suits}{', connectors' if beside else ''}"


def made_hand(hand: Hand) -> str:
    """The class of the best five cards in words: "two pair, aces and fours"."""
    ranks = [card.rank.value for card in hand.cards]
    counts = Counter(ranks)
    first, second = [*sorted(counts, key=lambda rank: (-counts[rank], -HIGH[rank])), ""][:2]
    match hand.entry.label:
        case Label.HIGH_CARD:
            return f"{RANKS[first]} high"
        case Label.ONE_PAIR:
            return f"a pair of {plural(first)}"
        case Label.TWO_PAIR:
            return f"two pair, {plural(first)} and {plural(second)}"
        case Label.THREE_OF_A_KIND:
            return f"three of a kind, {plural(first)}"
        case Label.STRAIGHT:
            return f"a straight, {_straight_top(ranks)} high"
        case Label.FLUSH:
            return f"a flush, {RANKS[first]} high"
        case Label.FULL_HOUSE:
            return f"a full house, {plural(first)} full of {plural(second)}"
        case Label.FOUR_OF_A_KIND:
            return f"four of a kind, {plural(first)}"
        case _:
            return f"a straight flush, {_straight_top(ranks)} high"


def _straight_top(ranks: Sequence[str]) -> str:
    """A straight's highest card. The ace is low in A2345, and in A6789 where there are 36 cards."""
    high = sorted(ranks, key=HIGH.__getitem__)
    low_ace = high[-1] == "A" and high[-2] != "K"
    return RANKS[high[-2] if low_ace else high[-1]]
