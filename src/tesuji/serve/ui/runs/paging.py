"""Big files page by page: by byte offsets, in bounded memory, forwards and backwards."""

from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tesuji.core.errors import DataError
from tesuji.core.files import unreadable

BLOCK = 1 << 18  # bytes read at a time
MOST_LINE = 1 << 17  # bytes of a line that are shown
MOST_PAGE = 1 << 20  # bytes of a page


@dataclass(frozen=True, slots=True)
class Line:
    """A line, from which byte on it stands, and how many of its bytes are left out."""

    at: int
    text: bytes
    cut: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """Some lines of a file; where the next page begins and the one before (None: there is none)."""

    lines: tuple[Line, ...]
    before: int | None
    after: int | None
    size: int


def read_page(path: Path, at: int, count: int) -> Page:
    """At most `count` lines from the line on in which the byte `at` is. Raises DataError."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            begin = _line_begin(file, min(at, size))
            lines = _lines(file, begin, count)
            end = file.tell()
            before = _back(file, begin, count) if begin else None
    except OSError as error:
        raise unreadable(path, error) from error
    return Page(tuple(lines), before, end if lines and end < size else None, size)


def find_line(path: Path, number: int) -> int:
    """Where the line of this number (from 1) begins. Raises DataError where there is none."""
    left, at = number - 1, 0
    try:
        with path.open("rb") as file:
            while left > 0 and (block := file.read(BLOCK)):
                found = block.count(b"\n")
                if found < left:
                    left, at = left - found, at + len(block)
                    continue
                place = -1
                for _ in range(left):
                    place = block.index(b"\n", place + 1)
                left, at = 0, at + place + 1
            if left == 0 and at < file.seek(0, 2):
                return at
    except OSError as error:
        raise unreadable(path, error) from error
    raise DataError(f"it has no line {number:,}", where=path.name)


def _lines(file: IO[bytes], begin: int, count: int) -> list[Line]:
    file.seek(begin)
    found: list[Line] = []
    held = 0
    while len(found) < count and held < MOST_PAGE:
        at = file.tell()
        text = file.readline(MOST_LINE)
        if not text:
            break
        cut = _skip_rest(file) if len(text) == MOST_LINE and not text.endswith(b"\n") else 0
        found.append(Line(at, text.rstrip(b"\r\n"), cut))
        held += len(text)
    return found


def _skip_rest(file: IO[bytes]) -> int:
    """Go to the next line; how many bytes that is."""
    skipped = 0
    while text := file.readline(BLOCK):
        skipped += len(text)
        if text.endswith(b"\n"):
            break
    return skipped


def _line_begin(file: IO[bytes], at: int) -> int:
    """Where the line begins in which a byte stands."""
    while at > 0:
        start = max(0, at - BLOCK)
        file.seek(start)
        found = file.read(at - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        at = start
    return 0


def _back(file: IO[bytes], begin: int, count: int) -> int:
    """Where the line begins that stands `count` lines before, or a page's bytes."""
    at = begin
    for _ in range(count):
        if at == 0 or begin - at >= MOST_PAGE:
            break
        at = _line_begin(file, at - 1)
    return at
