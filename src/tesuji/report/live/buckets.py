"""One metric of one stage in bounded memory: its lowest and its highest value of every so many
steps, so that no peak is lost, however long the run."""

import numpy as np
from numpy.typing import NDArray

BUCKETS = 1000  # of two points each
Floats = NDArray[np.float64]
Steps = NDArray[np.int64]


class Series:
    """Takes steps and values in any order; keeps at most 2 × BUCKETS points of them."""

    def __init__(self) -> None:
        self._width = 1  # steps a bucket
        self._values = np.full((2, BUCKETS), np.nan)  # row 0: the lowest, row 1: the highest
        self._steps = np.zeros((2, BUCKETS), np.int64)

    def add(self, steps: Steps, values: Floats) -> None:
        """Take values, all of them numbers, at steps from 0 on."""
        if not len(steps):
            return
        while steps.max() // self._width >= BUCKETS:
            self._halve()
        places = steps // self._width
        if np.any(places[1:] < places[:-1]):
            order = np.argsort(places, kind="stable")
            places, steps, values = places[order], steps[order], values[order]
        starts = np.flatnonzero(np.concatenate(([True], places[1:] != places[:-1])))
        for row, sign in enumerate((1.0, -1.0)):
            first = _first_lowest(sign * values, starts)
            self._keep(row, sign, places[starts], steps[first], values[first])

    def points(self) -> tuple[list[int], list[float]]:
        """Steps in ascending order, and their values."""
        there = ~np.isnan(self._values)
        same = (self._steps[0] == self._steps[1]) & (self._values[0] == self._values[1])
        there[1] &= ~same
        steps, values = self._steps[there], self._values[there]
        order = np.argsort(steps, kind="stable")
        return steps[order].tolist(), values[order].tolist()

    def _keep(self, row: int, sign: float, places: Steps, steps: Steps, values: Floats) -> None:
        """Let these values stand in their buckets where they are further out than what does."""
        better = ~(sign * self._values[row, places] <= sign * values)  # true of empty ones, too
        self._values[row, places[better]] = values[better]
        self._steps[row, places[better]] = steps[better]

    def _halve(self) -> None:
        """Two buckets become one."""
        self._width *= 2
        for row, sign in enumerate((1.0, -1.0)):
            pairs = self._values[row].reshape(-1, 2)
            second = ~(sign * pairs[:, 0] <= sign * pairs[:, 1]) & ~np.isnan(pairs[:, 1])
            chosen = np.arange(0, BUCKETS, 2) + second
            values, steps = self._values[row, chosen], self._steps[row, chosen]
            self._values[row], self._steps[row] = np.nan, 0
            self._values[row, : len(chosen)], self._steps[row, : len(chosen)] = values, steps


def _first_lowest(values: Floats, starts: NDArray[np.intp]) -> NDArray[np.intp]:
    """Where in each group, from one start to the next, its lowest value stands first."""
    lowest = np.minimum.reduceat(values, starts)
    sizes = np.diff(np.append(starts, len(values)))
    groups = np.repeat(np.arange(len(starts)), sizes)
    there = np.flatnonzero(values == lowest[groups])
    first = np.concatenate(([True], groups[there][1:] != groups[there][:-1]))
    return there[first]
