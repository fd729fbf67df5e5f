"""What each seat won or lost in a hand, as far as the history tells."""

from collections.abc import Collection, Mapping
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


def returns_of(
    history: HandHistory, state: State, cards: Known, invented: Collection[int]
) -> tuple[float, ...]:
    """Chips won or lost by each seat; NaN where the history does not tell.

    `cards` are the hole cards known by seat, `invented` the seats whose showing or mucking is
    pokerkit's own, not the history's.

    What the history itself says (`finishing_stacks`, then `winnings`) goes before pokerkit's
    count, which knows no rake.
    """
    start = list(state.starting_stacks)
    told = history.finishing_stacks
    if told is not None and len(told) == len(start):
        return tuple(_gain(end, begin) for end, begin in zip(told, start, strict=True))
    if settled(history, state):
        assert history.winnings is not None
        pairs = zip(history.winnings, _paid(state), strict=True)
        return tuple(_gain(won, put) for won, put in pairs)
    if state.status:
        return (nan,) * len(start)
    unsure = _unsure(state, cards, invented)
    return tuple(
        nan if seat in unsure else _gain(payoff) for seat, payoff in enumerate(state.payoffs)
    )


def settled(history: HandHistory, state: State) -> bool:
    """Whether the history says who collected what, after the last bet."""
    winnings = history.winnings
    return (
        winnings is not None
        and len(winnings) == state.player_count
        and any(winnings)
        and state.actor_index is None
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
    shown = {
        op.player_index: op.hole_cards
        for op in state.operations
        if isinstance(op, HoleCardsShowingOrMucking) and op.player_index in stayed
    }
    mucked = {seat for seat, cards in shown.items() if not cards} - set(invented)
    laid = {seat for seat, held in shown.items() if held and all(held)}
    told = {seat for seat in stayed if _known(state, cards, seat)} | laid | mucked
    return set() if stayed <= told else stayed


def _known(state: State, cards: Known, seat: int) -> bool:
    held = cards.get(seat) or tuple(state.hole_cards[seat])
    return bool(held) and all(held)


def _gain(after: Any, before: Any = 0) -> float:
    """The difference; NaN where one of the two is infinite, as stacks that nobody knew are."""
    if not (isfinite(after) and isfinite(before)):
        return nan
    return float(after - before)
