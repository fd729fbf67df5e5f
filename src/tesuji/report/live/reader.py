"""The metric log of a run that may still be written: read once, then only what came since.

A long file is read in pieces from all over it, so that a look that is given little time has seen
the whole range roughly; later looks fill it in. What is kept is bounded (`buckets.py`).
"""

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from tesuji.report.live.buckets import Series
from tesuji.report.live.columns import TOO_LARGE, columns, rows

PIECE = 1 << 20  # bytes read at a time
LONGEST = 1 << 16  # bytes of a line; one longer is passed over where it lies across two pieces
MOST_SERIES, LONGEST_NAME = 200, 120  # more metrics, or longer names, are nobody's
MOST_STEPS = 1 << 53
MOST_READERS = 16


class MetricReader:
    """Reads one `metrics.jsonl`. `series` is by stage and metric; several threads may look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self.series: dict[tuple[str, str], Series] = {}
        self._file: tuple[int, int] = (0, 0)
        self._end = 0  # what lies before it has been read, or is put down in `_left`
        self._left: list[tuple[int, int]] = []

    def read(self, seconds: float = float("inf")) -> bool:
        """Read on for so long, at least one piece, and return whether all has been read. A file
        that is another one now, or shorter, is read anew; one that is not there has no lines."""
        until = time.monotonic() + seconds
        with self._lock:
            try:
                with _open(self.path) as file:
                    self._plan(file)
                    while self._left:
                        self._take(_piece(file, *self._left.pop()))
                        if time.monotonic() > until:
                            break
            except OSError:
                self._forget()
            return not self._left

    def points(self) -> dict[tuple[str, str], tuple[list[int], list[float]]]:
        """By stage and metric: steps in ascending order, and values."""
        with self._lock:
            return {name: one.points() for name, one in self.series.items()}

    @property
    def place(self) -> tuple[int, int]:
        """The number of the file that was read, and the byte up to which."""
        return self._file[1], self._end

    def _plan(self, file: IO[bytes]) -> None:
        """Put down what has come since the last look, up to the end of its last whole line."""
        about = _stat(file)
        if about[:2] != self._file or about[2] < self._end:
            self._forget()
            self._file = about[:2]
        end = _last_line_end(file, self._end, about[2])
        starts = range(self._end, end, PIECE)
        self._left += [(starts[place], end) for place in _all_over(len(starts))][::-1]
        self._end = end

    def _take(self, text: bytes) -> None:
        for stage, steps, metrics in columns(text):
            right = (steps >= 0) & (steps < MOST_STEPS)
            for name, values in metrics.items():
                there = right & (np.abs(values) < TOO_LARGE)  # false of what is no number
                if there.any() and (one := self._one(stage, name)) is not None:
                    one.add(steps[there], values[there])

    def _one(self, stage: str, name: str) -> Series | None:
        key = (stage, name)
        if key not in self.series:
            if len(self.series) >= MOST_SERIES or len(stage) + len(name) > LONGEST_NAME:
                return None
            self.series[key] = Series()
        return self.series[key]


class Readers:
    """The readers of the files last asked for."""

    def __init__(self) -> None:
        self._readers: OrderedDict[Path, MetricReader] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, path: Path) -> MetricReader:
        """The one reader of a file, with what it has read so far."""
        with self._lock:
            reader = self._readers.setdefault(path, MetricReader(path))
            self._readers.move_to_end(path)
            while len(self._readers) > MOST_READERS:
                self._readers.popitem(last=False)
            return reader


def rows_since(path: Path, offset: int, most: int = LONGEST) -> tuple[list[Any], int]:
    """(the whole lines from a byte on, of at most so many bytes; where the next begins)."""
    try:
        with _open(path) as file:
            file.seek(offset)
            text = file.read(most)
    except OSError:
        return [], offset
    end = text.rfind(b"\n") + 1
    if not end and len(text) == most:
        return [], offset + most  # a line without end is passed over
    return rows(text[:end]), offset + end


def last_rows(path: Path, most: int = LONGEST) -> list[dict[str, Any]]:
    """The last whole lines of a metric log, of at most so many bytes."""
    try:
        size = path.stat().st_size
    except OSError:
        return []
    return rows_since(path, max(0, size - most), most)[0]


def _open(path: Path) -> IO[bytes]:
    """A file to read. Raises OSError, also for a pipe, whose end may never come."""
    if not path.is_file():
        raise FileNotFoundError(2, "no file", str(path))
    return path.open("rb")


def _stat(file: IO[bytes]) -> tuple[int, int, int]:
    about = os.fstat(file.fileno())
    return about.st_dev, about.st_ino, about.st_size


def _last_line_end(file: IO[bytes], begin: int, end: int) -> int:
    """Where, between two places, the last whole line ends; `begin` where there is none."""
    while end > begin:
        start = max(begin, end - LONGEST)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return begin


def _all_over(count: int) -> Iterator[int]:
    """The numbers below `count`, each once, spread more and more densely."""
    stride = 1 << max(0, count - 1).bit_length()
    yield from range(min(count, 1))
    while stride > 1:
        yield from range(stride // 2, count, stride)
        stride //= 2


def _piece(file: IO[bytes], start: int, end: int) -> bytes:
    """The whole lines that begin within a piece's length from `start` on, before `end`."""
    before = min(start, 1)  # the byte in front: a line may begin right here
    file.seek(start - before)
    text = file.read(min(PIECE + LONGEST + before, end - start + before))
    begin = text.find(b"\n") + 1 if before else 0
    last = text.find(b"\n", PIECE + before - 1)
    return text[begin : (last if last >= 0 else text.rfind(b"\n")) + 1]
