"""Who gets what when a hand is stopped because one player cannot go on."""

from collections.abc import Sequence

from pokerkit import State


def stopped(state: State, offender: int) -> tuple[int, ...]:
    """Chips won or lost by seat when `offender` gives up now and nobody plays on.

    The offender loses what it has put in, as with a fold. Everybody else still in the hand takes
    the own chips back; the dead ones (of the offender and of those who folded) are shared evenly,
    layer by layer, so that nobody wins more from a seat than was put in against it. Odd chips go to
    the first seats.
    """
    put = [
        int(begin - left) for begin, left in zip(state.starting_stacks, state.stacks, strict=True)
    ]
    live = [seat for seat in state.player_indices if state.statuses[seat] and seat != offender]
    gains = [0 if seat in live else -chips for seat, chips in enumerate(put)]
    below = 0
    for level in sorted(set(put)):
        dead = sum(min(level, put[seat]) - min(below, put[seat]) for seat in _others(put, live))
        reached = [seat for seat in live if put[seat] >= level] or live
        for place, seat in enumerate(reached):
            gains[seat] += dead // len(reached) + (place < dead % len(reached))
        below = level
    return tuple(gains)


def _others(put: Sequence[int], live: Sequence[int]) -> list[int]:
    return [seat for seat in range(len(put)) if seat not in live]
