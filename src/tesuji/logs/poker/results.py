"""What each seat won or lost in a hand, as far as the history tells.

What a pot paid ("collected" in a poker room's text, `winnings` in PHH) never holds the uncalled
bet, which goes back to its owner first. So it is compared with what was put in after that return,
and the hand must balance: put in = paid + rake.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite, nan
from typing import Any

from pokerkit import (
    BetCollection,
    Card,
    ChipsPulling,
    ChipsPushing,
    Folding,
    HandHistory,
    HoleCardsShowingOrMucking,
    State,
)

from tesuji.games.poker.history import Amount

Known = Mapping[int, tuple[Card, ...]]
NEARLY = 1e-6  # chips
MOST_RAKE = 0.15  # of the pot, where a history does not say what the room took


@dataclass(frozen=True, slots=True)
class Ended:
    """What a text says of a hand's end beside `winnings`: the room's `rake` (None: not said), who
    took `cash_outs` instead of the outcome (seat → what was paid), whether several boards were
    dealt (`run_twice`)."""

    rake: Amount | None = None
    cash_outs: Mapping[int, Amount] = field(default_factory=dict)
    run_twice: bool = False


@dataclass(frozen=True, slots=True)
class Results:
    """Chips won or lost by each seat, NaN where nobody knows. `over`: the hand came to its end.

    `disputed`: what the history says of it cannot be, so pokerkit's count stands instead;
    `cashed_out`: somebody sold his hand to the room.
    """

    returns: tuple[float, ...]
    over: bool
    disputed: bool = False
    cashed_out: bool = False

    @property
    def sure(self) -> bool:
        """Whether they may say who won."""
        return not (self.disputed or self.cashed_out)


def results_of(
    history: HandHistory, state: State, cards: Known, invented: Collection[int], ended: Ended
) -> Results:
    """What each seat won or lost.

    What the history itself says (`finishing_stacks`, then `winnings`) goes before pokerkit's
    count, which knows no rake. `cards` are the hole cards known by seat, `invented` the seats whose
    showing or mucking is pokerkit's own, not the history's.
    """
    unsure = _unsure(state, cards, invented)
    state = _with_known_cards(history, state, cards, invented)
    written = _written(history, state, ended)
    if written is not None and ended.cash_outs:
        put = put_in(state)
        cashed = {seat: _gain(paid, put[seat]) for seat, paid in ended.cash_outs.items()}
        returns = tuple(cashed.get(seat, won) for seat, won in enumerate(written))
        return Results(returns, over=True, cashed_out=True)
    judge = () if unsure or ended.run_twice else _paid_seats(state)
    if written is not None and _believable(written, state, ended.rake, judge):
        return Results(written, over=True)
    disputed = written is not None
    if state.status:  # it broke off
        return Results((nan,) * state.player_count, over=False, disputed=disputed)
    counted = (
        nan if seat in unsure else _gain(payoff) for seat, payoff in enumerate(state.payoffs)
    )
    return Results(tuple(counted), over=True, disputed=disputed)


def _with_known_cards(
    history: HandHistory, state: State, cards: Known, invented: Collection[int]
) -> State:
    """The end of the hand with the cards shown that are known and that the history does not show:
    pokerkit shows unknown ones instead, which win nothing."""
    shows = [
        f"p{seat + 1} sm {''.join(map(repr, cards[seat]))}" for seat in invented if seat in cards
    ]
    if state.status or not shows:
        return state
    *_, state = replace(history, actions=[*history.actions, *shows])
    return state


def _written(history: HandHistory, state: State, ended: Ended) -> tuple[float, ...] | None:
    """What the history says each seat won; None where it does not, or betting is still open."""
    ends, winnings, seats = history.finishing_stacks, history.winnings, state.player_count
    if ends is not None and len(ends) == seats:
        begun = state.starting_stacks
        return tuple(_gain(end, begin) for end, begin in zip(ends, begun, strict=True))
    if winnings is None or len(winnings) != seats or _betting_goes_on(state):
        return None
    if not any(winnings) and not ended.cash_outs:
        return None
    return tuple(_gain(won, put) for won, put in zip(winnings, put_in(state), strict=True))


def _betting_goes_on(state: State) -> bool:
    """Whether somebody is to act, now or on a later street: the history broke off before."""
    return bool(state.status) and (state.actor_index is not None or not state.all_in_status)


def _believable(
    returns: Sequence[float], state: State, rake: Amount | None, judge: Collection[int]
) -> bool:
    """Whether the hand balances, who folded lost just what he had put in, and the pots went to
    the seats that `judge` names (empty: nobody can say)."""
    sure = [seat for seat in _folded(state) if isfinite(returns[seat])]
    if any(abs(returns[seat] - float(state.payoffs[seat])) > NEARLY for seat in sure):
        return False
    if not all(map(isfinite, returns)):
        return True
    put = put_in(state) if not state.status else [-payoff for payoff in state.payoffs]
    taken, most = -sum(returns), MOST_RAKE * float(sum(put))
    balanced = -NEARLY < taken <= most if rake is None else abs(taken - float(rake)) < NEARLY
    paid = {seat for seat, won in enumerate(returns) if won + float(put[seat]) > NEARLY}
    return balanced and (not judge or paid == set(judge))


def put_in(state: State) -> list[Any]:
    """What each seat has put into the pots, the uncalled bet given back.

    pokerkit's `BetCollection` leaves the bet of the last player in the hand where it lies, with
    the part of it that others had matched; the rest of it is the uncalled bet.
    """
    collected = [op.bets for op in state.operations if isinstance(op, BetCollection)]
    put = [sum(bets) for bets in zip(*collected, strict=True)] or [0] * state.player_count
    stayed = set(state.player_indices) - _folded(state)
    if len(stayed) == 1 and not state.status and collected:
        last = stayed.pop()
        pulled = sum(op.amount for op in state.operations if isinstance(op, ChipsPulling))
        pushed = sum(sum(op.amounts) for op in state.operations if isinstance(op, ChipsPushing))
        put[last] += min(pulled - pushed, max(collected[-1]))
    return put


def _paid_seats(state: State) -> set[int]:
    """The seats that the pots go to by pokerkit's count."""
    pushes = [op.amounts for op in state.operations if isinstance(op, ChipsPushing)]
    return {seat for amounts in pushes for seat, amount in enumerate(amounts) if amount > 0}


def _folded(state: State) -> set[int]:
    return {op.player_index for op in state.operations if isinstance(op, Folding)}


def _unsure(state: State, cards: Known, invented: Collection[int]) -> set[int]:
    """The seats whose result depends on cards nobody told: of two or more who did not fold."""
    stayed = set(state.player_indices) - _folded(state)
    if len(stayed) == 1:
        return set()
    showdown = {
        op.player_index: op.hole_cards
        for op in state.operations
        if isinstance(op, HoleCardsShowingOrMucking) and op.player_index in stayed
    }
    mucked = {seat for seat, cards in showdown.items() if not cards} - set(invented)
    laid = {seat for seat, held in showdown.items() if held and all(held)}
    sure = {seat for seat in stayed if _known(state, cards, seat)} | laid | mucked
    return set() if stayed <= sure else stayed


def _known(state: State, cards: Known, seat: int) -> bool:
    held = cards.get(seat) or tuple(state.hole_cards[seat])
    return bool(held) and all(held)


def _gain(after: Any, before: Any = 0) -> float:
    """The difference; NaN where one of the two is infinite, as stacks that nobody knew are."""
    if not (isfinite(after) and isfinite(before)):
        return nan
    return float(after - before)
