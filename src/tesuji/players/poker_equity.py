"""How often a hand wins against random hands, by dealing the rest many times from a stream of one's
own.

pokerkit has such a calculator (`calculate_equities`), but it draws from Python's global generator
and ranks every hand anew. Ours deals itself and lets pokerkit rank; it remembers a rank by what the
rank depends on, the suited cards where there are five of a suit and the ranks alone elsewhere.
"""

import random
from collections.abc import Sequence
from functools import cache
from typing import Any

from pokerkit import Card, Deck, OmahaHoldemHand, ShortDeckHoldemHand, StandardHighHand

BOARD, SUITS = 5, "cdhs"
KINDS: dict[str, tuple[Deck, Any]] = {
    "holdem": (Deck.STANDARD, StandardHighHand),
    "omaha": (Deck.STANDARD, OmahaHoldemHand),
    "short_deck": (Deck.SHORT_DECK_HOLDEM, ShortDeckHoldemHand),
}
_RANKED: dict[tuple[str, str], int] = {}
MOST_RANKED = 200_000  # hold'em has fewer


def equity(
    kind: str, hole: Sequence[Card], board: Sequence[Card], others: int, *, samples: int, seed: int
) -> float:
    """The share of the pot that `hole` wins on average against `others` random hands."""
    rng, own, seen = random.Random(seed), _texts(hole), _texts([*hole, *board])
    left = [card for card in _deck(kind) if card not in seen]
    each, missing = len(own), BOARD - len(board)
    won = 0.0
    for _ in range(samples):
        dealt = rng.sample(left, missing + each * others)
        full = seen[each:] + dealt[:missing]
        ours = rank(kind, own, full)
        theirs = [
            rank(kind, dealt[start : start + each], full)
            for start in range(missing, len(dealt), each)
        ]
        if ours >= max(theirs):
            won += 1 / (1 + theirs.count(ours))
    return won / samples


def rank(kind: str, hole: list[str], board: list[str]) -> int:
    """A number that is greater for a better hand, equal for equal ones. Cards as "Ah"."""
    if kind == "omaha":  # two cards of the hand and three of the board: no short name for that
        return _rank(kind, hole, board)
    cards = hole + board
    suits = "".join([card[1] for card in cards])
    flush = next((suit for suit in SUITS if suits.count(suit) >= BOARD), "")
    if flush:  # then nothing but a flush or a straight flush can be the best
        cards = [card for card in cards if card[1] == flush]
    name = "".join(sorted([card[0] for card in cards])) + ("s" if flush else "")
    known = _RANKED.get((kind, name))
    if known is None:
        known = _rank(kind, cards[:2], cards[2:])
        if len(_RANKED) < MOST_RANKED:
            _RANKED[kind, name] = known
    return known


def _rank(kind: str, hole: list[str], board: list[str]) -> int:
    index: int = KINDS[kind][1].from_game("".join(hole), "".join(board)).entry.index
    return index


def _texts(cards: Sequence[Card]) -> list[str]:
    return [repr(card) for card in cards]


@cache
def _deck(kind: str) -> tuple[str, ...]:
    return tuple(_texts(list(KINDS[kind][0])))
