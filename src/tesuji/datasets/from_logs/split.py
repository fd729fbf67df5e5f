"""Which matches training never sees: whole matches, so that no row's neighbour is held out."""

import random
from collections.abc import Iterable


def held_out_matches(matches: Iterable[str], share: float, seed: int) -> frozenset[str]:
    """About `share` of the matches, drawn by the seed; at least one, and never all, where there
    are two or more and the share is neither 0 nor 1."""
    order = sorted(set(matches))
    random.Random(seed).shuffle(order)
    count = round(share * len(order))
    if 0 < share < 1 and len(order) > 1:
        count = min(max(count, 1), len(order) - 1)
    return frozenset(order[:count])
