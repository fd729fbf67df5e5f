"""How often a hand wins against random hands, by dealing the rest many times from a stream of one's
own.

pokerkit has such a calculator (`calculate_equities`), but it draws from Python's global generator
and ranks every hand anew (0.2 ms). Ours deals itself. Five cards are ranked by pokerkit, once for
all hands with the same ranks that are or are not of one suit: there are 7,462.
"""

import random
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import combinations

from pokerkit import Card, Deck, OmahaHoldemHand, ShortDeckHoldemHand, StandardHighHand

BOARD, SUITS = 5, "cdhs"
KINDS = {
    "holdem": (Deck.STANDARD, StandardHighHand),
    "omaha": (Deck.STANDARD, OmahaHoldemHand),
    "short_deck": (Deck.SHORT_DECK_HOLDEM, ShortDeckHoldemHand),
}


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
    if kind == "omaha":
        return _two_and_three(kind, hole, board)
    cards = hole + board
    suits = "".join([card[1] for card in cards])
    flush = next((suit for suit in SUITS if suits.count(suit) >= BOARD), "")
    if flush:  # then nothing but a flush or a straight flush can be the best
        cards = [card for card in cards if card[1] == flush]
    return _best(kind, "".join(sorted([card[0] for card in cards])), bool(flush))


def _two_and_three(kind: str, hole: list[str], board: list[str]) -> int:
    """Exactly two cards of the hand and three of the board."""
    threes = list(combinations(board, 3))
    fives = [two + three for two in combinations(hole, 2) for three in threes]
    return max(
        _five(kind, "".join(sorted([card[0] for card in five])), len({c[1] for c in five}) == 1)
        for five in fives
    )


@lru_cache(maxsize=100_000)  # hold'em has 54,000
def _best(kind: str, ranks: str, suited: bool) -> int:
    """The best five of these cards."""
    return max(_five(kind, "".join(five), suited) for five in set(combinations(ranks, 5)))


@cache
def _five(kind: str, ranks: str, suited: bool) -> int:
    """Five cards by their sorted ranks; where they are not of one suit, any other suits do."""
    cards = [rank + ("c" if suited else SUITS[place % 4]) for place, rank in enumerate(ranks)]
    index: int = KINDS[kind][1].lookup.get_entry("".join(cards)).index
    return index


def _texts(cards: Sequence[Card]) -> list[str]:
    return [repr(card) for card in cards]


@cache
def _deck(kind: str) -> tuple[str, ...]:
    return tuple(_texts(list(KINDS[kind][0])))
