"""Whether two variants of runs differ by more than noise: over seeds, or within one seed each.

Over seeds: Welch's t-test (the figures of a variant's seeds are about normal; the variants may
scatter differently), and beside it the exact permutation test, which takes nothing for granted but
that seeds are exchangeable, and which few seeds cannot satisfy: 3 against 3 give 0.1 at the least.
Within one seed: the noise of matches, questions and positions alone. That says whether these two
models differ, and nothing about the next seed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from tesuji.core.statistics import Z95, Interval, wilson

SURE = 0.05
MOST_ORDERS = 20_000  # ways to deal out the seeds that are all looked at
SEEDS, WITHIN = "Welch's t-test over seeds", "within one seed"
UNKNOWN = Interval(-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run has of one figure: its value, and of how many of how many (a share), or else
    its interval within the run, where those are known."""

    value: float
    share: tuple[int, int] | None = None
    interval: Interval | None = None

    @property
    def within(self) -> Interval:
        """Its interval by what was played alone; infinite where nothing is known."""
        if self.share is not None:
            return wilson(*self.share)
        return self.interval or UNKNOWN


@dataclass(frozen=True, slots=True)
class Difference:
    """Second variant minus first. `p` and `by_order` (the permutation test's) are two-sided, None
    where there is no such test; `adjusted` is p after Holm's correction for all that were made."""

    value: float
    interval: Interval
    p: float | None
    test: str
    by_order: float | None = None
    least: float | None = None
    adjusted: float | None = None

    @property
    def sure(self) -> bool | None:
        """More than noise; None where it cannot be told."""
        p = self.p if self.adjusted is None else self.adjusted
        return None if p is None else p < SURE


def mean_over_seeds(values: Sequence[float]) -> Interval:
    """Student's 95% interval of a mean; infinite below two values."""
    if len(values) < 2:
        return UNKNOWN
    from scipy.stats import t

    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return Interval(fmean(values) - half, fmean(values) + half)


def difference(first: Sequence[Measured], second: Sequence[Measured]) -> Difference:
    """The second variant's mean minus the first's, and how sure that is."""
    a, b = [one.value for one in first], [one.value for one in second]
    value = fmean(b) - fmean(a)
    if len(a) > 1 and len(b) > 1:
        return _over_seeds(a, b, value)
    if len(a) == len(b) == 1:
        return _within(first[0], second[0])
    return Difference(value, UNKNOWN, None, "one variant has one seed only")


def _over_seeds(a: Sequence[float], b: Sequence[float], value: float) -> Difference:
    from scipy.stats import ttest_ind

    by_order, least = _by_order(a, b)
    if not stdev(a) and not stdev(b):
        words = "the permutation test: no variant's seeds differ"
        return Difference(value, UNKNOWN, by_order, words, by_order, least)
    found = ttest_ind(b, a, equal_var=False)
    low, high = found.confidence_interval(0.95)
    bounds = Interval(float(low), float(high))
    return Difference(value, bounds, float(found.pvalue), SEEDS, by_order, least)


def _by_order(a: Sequence[float], b: Sequence[float]) -> tuple[float | None, float | None]:
    """The exact p of the permutation test, and the least it can be; None of too many orders."""
    if (orders := math.comb(len(a) + len(b), len(a))) > MOST_ORDERS:
        return None, None
    from itertools import combinations

    pooled, far = [*a, *b], abs(fmean(a) - fmean(b)) - 1e-12
    total, as_far = sum(pooled), 0
    for chosen in combinations(pooled, len(a)):
        rest = (total - sum(chosen)) / len(b)
        as_far += abs(sum(chosen) / len(a) - rest) >= far
    return as_far / orders, (2 if len(a) == len(b) else 1) / orders


def _within(a: Measured, b: Measured) -> Difference:
    """Of two runs: Newcombe's interval of two shares, else that of two normal means."""
    value = b.value - a.value
    if a.share is None or b.share is None:
        return _of_means(a, b, value)
    first, second = wilson(*a.share), wilson(*b.share)
    low = value - math.hypot(b.value - second.low, first.high - a.value)
    high = value + math.hypot(second.high - b.value, a.value - first.low)
    from scipy.stats import fisher_exact

    table = [[part, of - part] for part, of in (a.share, b.share)]
    return Difference(value, Interval(low, high), float(fisher_exact(table).pvalue), WITHIN)


def _of_means(a: Measured, b: Measured, value: float) -> Difference:
    halves = [(one.within.high - one.within.low) / 2 for one in (a, b)]
    if not all(map(math.isfinite, halves)):
        return Difference(value, UNKNOWN, None, "one seed, and nothing to tell its noise by")
    half = math.hypot(*halves)
    z = abs(value) / (half / Z95) if half else (math.inf if value else 0.0)
    return Difference(value, Interval(value - half, value + half), math.erfc(z / 2**0.5), WITHIN)


def corrected(differences: Sequence[Difference]) -> list[Difference]:
    """Each with its p after Holm's correction: among many tests some look sure by chance."""
    tested = sorted((p, place) for place, one in enumerate(differences) if (p := one.p) is not None)
    done, most = list(differences), 0.0
    for rank, (p, place) in enumerate(tested):
        most = max(most, min(1.0, p * (len(tested) - rank)))
        done[place] = replace(done[place], adjusted=most)
    return done
