"""A rule that decides at a no-limit hold'em table: a script's opinion, nothing like a solver's.

The rule knows one number, the share of deals a hand of that class wins against one random hand, and
compares it with the price. It looks at no opponent, no draw and no position.
"""

from dataclasses import dataclass
from typing import Literal

from pokerkit import Label, StandardHighHand

from tesuji.games.poker.card_words import HIGH
from tesuji.games.poker.history import Amount
from tesuji.games.poker.situation import Situation

# Wins (ties half) against one random hand: 130,000 random deals played to the river with pokerkit.
# Before the flop by the higher card, two to ace; the lower card is averaged over.
PAIRED = (0.49, 0.54, 0.58, 0.61, 0.62, 0.66, 0.68, 0.71, 0.75, 0.79, 0.77, 0.81, 0.84)
SUITED = (0.32, 0.32, 0.38, 0.40, 0.40, 0.42, 0.44, 0.46, 0.49, 0.51, 0.55, 0.57, 0.61)
OFFSUIT = (0.35, 0.35, 0.34, 0.36, 0.37, 0.38, 0.41, 0.43, 0.46, 0.49, 0.52, 0.56, 0.59)
# After it by class: (flop, turn, river), for boards without and with a pair on them.
MADE = {
    Label.HIGH_CARD: ((0.37, 0.30, 0.17), (0.37, 0.30, 0.17)),
    Label.ONE_PAIR: ((0.67, 0.65, 0.59), (0.40, 0.34, 0.24)),
    Label.TWO_PAIR: ((0.87, 0.85, 0.85), (0.71, 0.67, 0.63)),
    Label.THREE_OF_A_KIND: ((0.92, 0.91, 0.88), (0.86, 0.79, 0.72)),
}
STRONG = (0.90, 0.89, 0.87)  # straights and better

RAISES, BETS = 0.80, 0.58
MARGIN = 0.04  # what the rule wants beyond the price, for each player still in the hand


@dataclass(frozen=True, slots=True)
class Choice:
    """What a script does: `total` is the total to bet or raise to, None otherwise."""

    action: Literal["fold", "call", "bet"]
    total: Amount | None = None


def chance(at: Situation) -> float:
    """How often a hand of this class wins against one random hand."""
    if not at.board:
        first, second = at.hole
        high = max(HIGH[first.rank.value], HIGH[second.rank.value])
        if first.rank == second.rank:
            return PAIRED[high]
        return (SUITED if first.suit == second.suit else OFFSUIT)[high]
    label = StandardHighHand.from_game(at.hole, at.board).entry.label
    paired = len({card.rank for card in at.board}) < len(at.board)
    without, with_pair = MADE.get(label, (STRONG, STRONG))
    return (with_pair if paired else without)[len(at.board) - 3]


def by_rule(at: Situation) -> Choice:
    """Raise the best hands, pay for those worth the price, bet the better half, else give up."""
    share = chance(at)
    if at.to_call:
        price = float(at.to_call / (at.pot + at.to_call))
        if share >= RAISES and at.least is not None:
            return Choice("bet", sized(at, at.to_call * 3))
        worth = share >= price + MARGIN * at.players_left
        return Choice("call") if worth else Choice("fold")
    if share >= BETS and at.least is not None:
        return Choice("bet", sized(at, at.pot * 2 // 3))
    return Choice("call")


def sized(at: Situation, total: Amount) -> Amount:
    """The nearest legal total; one that would leave less than a tenth of the stack takes it all."""
    assert at.least is not None and at.most is not None
    sized = min(max(total, at.least), at.most)
    return at.most if at.all_in and sized * 10 > at.most * 9 else sized
