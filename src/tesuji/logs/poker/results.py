"""What each seat won or lost in a hand, as far as the history tells."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

from pokerkit import (
    Card,
    ChipsPulling,
    Folding,
    HandHistory,
    HoleCardsShowingOrMucking,
    State,
)

Known = Mapping[int, tuple[Card, ...]]
NEARLY = 1e-6  # chips


@dataclass(frozen=True, slots=True)
class Results:
    """Chips won or lost by each seat, NaN where nobody knows. `over`: the hand came to its end.
    `disputed`: what the history says of it cannot be, so pokerkit's count stands instead."""

    returns: tuple[float, ...]
    over: bool
    disputed: bool = False


def results_of(
    history: HandHistory, state: State, cards: Known, invented: Collection[int]
) -> Results:
    """What each seat won or lost.

    What the history itself says (`finishing_stacks`, then `winnings`) goes before pokerkit's
    count, which knows no rake. `cards` are the hole cards known by seat, `invented` the seats whose
    showing or mucking is pokerkit's own, not the history's.
    """
    written = _written(history, state)
    if written is not None and _believable(written, state):
        return Results(written, over=True)
    disputed = written is not None
    if state.status:
        return Results((nan,) * state.player_count, over=False, disputed=disputed)
    unsure = _unsure(state, cards, invented)
    counted = (
        nan if seat in unsure else _gain(payoff) for seat, payoff in enumerate(state.payoffs)
    )
    return Results(tuple(counted), over=True, disputed=disputed)


def _written(history: HandHistory, state: State) -> tuple[float, ...] | None:
    """What the history says each seat won; None where it does not, or betting is still open."""
    ends, winnings, seats = history.finishing_stacks, history.winnings, state.player_count
    if ends is not None and len(ends) == seats:
        begun = state.starting_stacks
        return tuple(_gain(end, begin) for end, begin in zip(ends, begun, strict=True))
    if winnings is None or len(winnings) != seats or not any(winnings):
        return None
    if state.actor_index is not None:
        return None
    return tuple(_gain(won, put) for won, put in zip(winnings, _paid(state), strict=True))


def _believable(returns: Sequence[float], state: State) -> bool:
    """Whether no chips come from nowhere, and who folded lost just what he had put in."""
    folded = {op.player_index for op in state.operations if isinstance(op, Folding)}
    sure = [seat for seat in folded if isfinite(returns[seat])]
    created = all(map(isfinite, returns)) and sum(returns) > NEARLY
    return not created and all(
        abs(returns[seat] - float(state.payoffs[seat])) < NEARLY for seat in sure
    )


def _paid(state: State) -> list[Any]:
    """What each seat has put into the pot, uncalled bets not counted."""
    pulled = [0] * state.player_count
    for operation in state.operations:
        if isinstance(operation, ChipsPulling):
            pulled[operation.player_index] += operation.amount
    return [won - payoff for won, payoff in zip(pulled, state.payoffs, strict=True)]


def _unsure(state: State, cards: Known, invented: Collection[int]) -> set[int]:
    """The seats whose result depends on cards nobody told: of two or more who did not fold."""
    folded = {op.player_index for op in state.operations if isinstance(op, Folding)}
    stayed = set(state.player_indices) - folded
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
