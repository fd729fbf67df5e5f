"""What has happened in a hand so far, in words, from pokerkit's own list of operations.

Everyone at the table has seen what stands here: bets, folds, the board, cards that were dealt or
shown face up. Hole cards are not in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from pokerkit import (
    AntePosting,
    BlindOrStraddlePosting,
    BoardDealing,
    BringInPosting,
    Card,
    CheckingOrCalling,
    CompletionBettingOrRaisingTo,
    Folding,
    HoleDealing,
    Operation,
    StandingPatOrDiscarding,
    State,
)

from tesuji.games.poker.card_words import chips

Amount = int | Decimal
BETTING = (Folding, CheckingOrCalling, CompletionBettingOrRaisingTo, BringInPosting)


@dataclass(frozen=True, slots=True)
class Street:
    """One round: the cards that opened it and what was done, as "BTN raises to 300"."""

    board: tuple[Card, ...] = ()
    done: tuple[str, ...] = ()


class Story:
    """Reads operations one by one and tells them round by round."""

    def __init__(self, state: State, names: Sequence[str]) -> None:
        self.names = names
        self._streets = [Street()]
        self._drawn = False
        self._left: list[Amount] = list(state.starting_stacks)
        self._bets: list[Amount] = [0] * len(names)

    def so_far(self) -> tuple[Street, ...]:
        """The rounds up to now, the last one still open."""
        return tuple(self._streets)

    def read(self, operation: Operation) -> None:
        """Take in one operation."""
        if self._drawn and isinstance(operation, BETTING):
            self._open(())
        match operation:
            case AntePosting(player_index=seat, amount=amount):
                self._left[seat] -= amount
            case BlindOrStraddlePosting(player_index=seat, amount=amount):
                self._put(seat, amount)
            case BoardDealing(cards=cards):
                self._open(cards)
            case HoleDealing() if self._streets[-1].done:
                self._open(())
            case Folding(player_index=seat):
                self._did(seat, "folds")
            case BringInPosting(player_index=seat, amount=amount):
                self._put(seat, amount)
                self._did(seat, f"brings in for {chips(amount)}")
            case CheckingOrCalling(player_index=seat, amount=amount):
                self._put(seat, amount)
                self._did(seat, f"calls {chips(amount)}" if amount else "checks")
            case CompletionBettingOrRaisingTo(player_index=seat, amount=amount):
                self._bet(seat, amount)
            case StandingPatOrDiscarding(player_index=seat, cards=cards):
                self._did(seat, f"draws {len(cards)}" if cards else "stands pat")
                self._drawn = True

    def _open(self, cards: Sequence[Card]) -> None:
        """A new round; cards dealt one by one, nothing done between, belong to the same."""
        self._drawn = False
        if self._streets[-1].done or len(self._streets) == 1:
            self._streets.append(Street())
            self._bets = [0] * len(self.names)
        last = self._streets[-1]
        self._streets[-1] = replace(last, board=(*last.board, *cards))

    def _bet(self, seat: int, to: Amount) -> None:
        verb = "raises to" if any(self._bets) else "bets"
        self._put(seat, to - self._bets[seat])
        self._did(seat, f"{verb} {chips(to)}")

    def _put(self, seat: int, amount: Amount) -> None:
        self._left[seat] -= amount
        self._bets[seat] += amount

    def _did(self, seat: int, what: str) -> None:
        gone = not self._left[seat] and not what.startswith(("folds", "checks", "draws", "stands"))
        all_in = " and is all-in" if gone else ""
        last = self._streets[-1]
        sentence = f"{self.names[seat]} {what}{all_in}"
        self._streets[-1] = replace(last, done=(*last.done, sentence))
