"""No-limit hold'em and its relatives as games: one match is one hand, played by pokerkit's rules.

    match = load_game("holdem", {"players": 6, "stack": 10000, "bets": "text"}).start(seed=7)

**Returns are in big blinds** and add up to zero; `match.chips()` has them in whole chips. So
1,000 times a mean return is the usual figure, thousandths of a big blind a hand (mbb/hand). A
forfeit costs what a fold costs.

pokerkit shuffles with Python's global generator. Here each match lays out its own deck from the
seed. The cards of a seat and the board depend on the seed alone, whatever is played and whoever
folds, so that a deal can be played again with the seats swapped.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tesuji.core.seeds import stream
from tesuji.games.base import Game, GameInfo
from tesuji.games.poker.options import MOST_SEATS, VARIANTS, Stakes, Variant, read_stakes
from tesuji.games.poker.positions import one_of, position_names

if TYPE_CHECKING:
    from tesuji.games.poker.hand import PokerMatch

FAMILY = "poker"
MBB = "mbb"  # the measure: thousandths of a big blind a hand
RANKS, SUITS = "23456789TJQKA", "cdhs"
_RULES_OF_BETTING = {
    "holdem": "Each player is dealt two cards; five more are laid face up for everybody: three"
    " (the flop), one (the turn), one (the river). The best five of a player's seven cards count.",
    "omaha": "Each player is dealt four cards; five more are laid face up for everybody: three"
    " (the flop), one (the turn), one (the river). Exactly two of a player's own cards and three of"
    " the board count. No bet may be greater than the pot.",
    "short_deck": "Played without twos to fives. Each player is dealt two cards; five more are laid"
    " face up for everybody: three (the flop), one (the turn), one (the river). The best five of a"
    " player's seven cards count; a flush beats a full house, and A6789 is a straight.",
}


@dataclass(frozen=True)
class PokerGame(Game):
    """A table with seats, stacks and blinds. Seat 0 is first to act after the flop; the last seat
    has the button (with two players it posts the small blind)."""

    @cached_property
    def stakes(self) -> Stakes:
        """The options. Raises GameError for impossible ones."""
        return read_stakes(self.name, self.options)

    @property
    def variant(self) -> Variant:
        """The kind of poker."""
        return VARIANTS[self.name]

    @property
    def big_blind(self) -> int:
        """Chips of one big blind, the unit of the returns."""
        return self.stakes.big_blind

    @property
    def num_players(self) -> int:
        """Seats at the table."""
        return self.stakes.num_players

    @cached_property
    def info(self) -> GameInfo:
        """Facts; the most a seat can win is what the others can put in against its stack."""
        stacks, seats = self.stakes.stacks, self.num_players
        gains = (
            sum(min(own, other) for place, other in enumerate(stacks) if place != seat)
            for seat, own in enumerate(stacks)
        )
        return GameInfo(
            name=self.name,
            title=self.variant.title,
            family=FAMILY,
            seats=(seats, seats),
            information="imperfect",
            chance=True,
            simultaneous=False,
            zero_sum=True,
            min_utility=-max(stacks) / self.big_blind,
            max_utility=max(gains) / self.big_blind,
            metrics=(MBB,),
        )

    @property
    def rules(self) -> str:
        """The rules in words, with the stakes of this table."""
        stakes = self.stakes
        blinds = (
            f"The button posts a blind of {stakes.big_blind}"
            if self.variant.button_blind
            else f"The small blind is {stakes.small_blind}, the big blind {stakes.big_blind}"
        )
        ante = f", and everybody an ante of {stakes.ante}" if stakes.ante else ""
        names = one_of(position_names(self.num_players))
        how = "Name a move of the list."
        if stakes.bets == "text":
            how = "Bets and raises name the total: 'raise to 300'. Any legal total may be named."
        return (
            f"{self.variant.title}, {self.num_players} players: {names}. {blinds}{ante}.\n"
            f"{_RULES_OF_BETTING[self.name]}\n"
            "Before the flop and after each of these there is a round of betting: fold, check or"
            " call, bet or raise. Who is left alone, or has the best hand at the end, wins the"
            " pot.\n"
            f"{how} What counts is the number of chips won or lost."
        )

    @property
    def as_logged(self) -> "PokerGame":
        """Bets in words, for which it asks as rows of poker data do."""
        return replace(self, options={"bets": "text", **self.options})

    def deck(self, seed: int) -> tuple[str, ...]:
        """The cards in the order in which they are laid out: each seat's own, then the board."""
        ranks = RANKS[RANKS.index("6") :] if self.variant.short else RANKS
        cards = [rank + suit for rank in ranks for suit in SUITS]
        return tuple(random.Random(stream(FAMILY, self.name, seed)).sample(cards, len(cards)))

    def start(self, seed: int) -> "PokerMatch":
        """A hand whose cards follow from the seed."""
        return self.start_with(self.deck(seed))

    def start_with(self, deck: Sequence[str]) -> "PokerMatch":
        """A hand with these cards: each seat's own, seat 0 first, then the board; more are not
        looked at."""
        from tesuji.games.poker.hand import PokerMatch

        return PokerMatch(self.stakes, tuple(deck))


def names() -> tuple[str, ...]:
    """The games of this family."""
    return tuple(VARIANTS)


def info(name: str) -> GameInfo:
    """Facts about a game with its default options; `seats` are the fewest and the most."""
    return replace(PokerGame(name).info, seats=(2, MOST_SEATS))


def load(name: str, options: Mapping[str, Any]) -> PokerGame:
    """The game with these options. Raises GameError for impossible ones."""
    game = PokerGame(name, dict(options))
    _ = game.stakes  # so that impossible options are refused here
    return game
