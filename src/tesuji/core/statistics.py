"""Intervals for shares and means, at 95%."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95% interval; infinite ends where too little was measured."""

    low: float
    high: float


def wilson(successes: int, trials: int) -> Interval:
    """Wilson's score interval of a share (Wilson 1927); (0, 1) when nothing was tried.

    Unlike the textbook interval it stays inside [0, 1] and is right for 0 of n and n of n.
    """
    if trials == 0:
        return Interval(0.0, 1.0)
    share, z2 = successes / trials, Z95 * Z95
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    spread = math.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    half = Z95 * spread / (1 + z2 / trials)
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return Interval(low, high)


def mean_interval(values: Sequence[float]) -> Interval:
    """Normal interval of a mean: mean ± 1.96 standard errors; unbounded below two values."""
    if len(values) < 2:
        return Interval(-math.inf, math.inf)
    centre, half = fmean(values), Z95 * stdev(values) / math.sqrt(len(values))
    return Interval(centre - half, centre + half)


def ratio_interval(parts: Sequence[tuple[float, float]]) -> Interval:
    """Interval of sum(a) / sum(b) over independent clusters (a, b), such as matches.

    The ratio estimator's linearised variance (Cochran 1977, 6.4) with the normal quantile; what
    hangs together inside a cluster makes it wider, as it should. Unbounded below two clusters.
    """
    count, weight = len(parts), sum(b for _, b in parts)
    if count < 2 or weight <= 0:
        return Interval(-math.inf, math.inf)
    ratio = sum(a for a, _ in parts) / weight
    squares = sum((a - ratio * b) ** 2 for a, b in parts)
    half = Z95 * math.sqrt(squares * count / (count - 1)) / weight
    return Interval(ratio - half, ratio + half)


@dataclass(frozen=True, slots=True)
class Share:
    """`right` of `total`, with Wilson's 95% interval."""

    right: int
    total: int
    interval: Interval

    @property
    def rate(self) -> float:
        """The share; NaN of nothing."""
        return self.right / self.total if self.total else float("nan")


def clusters(rows: Iterable[tuple[Any, float, float]]) -> list[tuple[float, float]]:
    """(row, a, b) added up to (a, b) a match; rows without one hang together by position, and
    stand alone without that."""
    sums: dict[Any, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for place, (row, a, b) in enumerate(rows):
        total = sums[row.about.get("match") or row.position or place]
        total[0] += a
        total[1] += b
    return [(a, b) for a, b in sums.values()]


def share(rights: Sequence[bool]) -> Share:
    """How many are true, with Wilson's interval."""
    return Share(sum(rights), len(rights), wilson(sum(rights), len(rights)))
