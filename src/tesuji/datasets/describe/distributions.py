"""Distributions of lengths, and the bounds that dataset pages warn at."""

from collections import Counter
from collections.abc import Iterable

LONGER = 1.25  # mean chosen over mean rejected length (or the other way) that is warned about
MOST = 30  # names of one table that are listed
QUANTILES = (0, 5, 25, 50, 75, 95, 100)


def quantiles(numbers: Iterable[int]) -> dict[str, int]:
    """Percent → the least number that so many of them do not exceed; empty for none."""
    order = sorted(numbers)
    if not order:
        return {}
    return {f"{q}%": order[max(0, -(-q * len(order) // 100) - 1)] for q in QUANTILES}


def doublings(numbers: Iterable[int]) -> dict[str, int]:
    """How many lie in 1, 2-3, 4-7, 8-15, ..."""
    table = Counter(max(1, number).bit_length() - 1 for number in numbers)
    if not table:
        return {}
    span = range(min(table), max(table) + 1)
    names = {n: f"{1 << n:,}-{(2 << n) - 1:,}" if n else "1" for n in span}
    return {names[n]: table[n] for n in span}
