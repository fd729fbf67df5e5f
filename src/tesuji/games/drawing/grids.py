"""A grid of single characters in the text that a game shows: its cells, and what its rows and
columns are called there."""

import re
from dataclasses import dataclass

_FEN = re.compile(r"^([1-8a-zA-Z?]{1,8}(?:/[1-8a-zA-Z?]{1,8}){7})(?: |$)", re.MULTILINE)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
LARGEST = 26
_BRACKETS = str.maketrans("[]", "  ")  # around the last move, in some games


@dataclass(frozen=True, slots=True)
class Found:
    """Characters by row; `rows` and `columns` as the text calls them, "" where it does not;
    `indents` how many characters each row begins further right, `wide` a cell's width in them."""

    cells: tuple[str, ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    indents: tuple[int, ...]
    wide: int

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return len(self.cells), len(self.cells[0])

    def turned(self) -> "Found":
        """As it is seen from the other side."""
        cells = tuple(row[::-1] for row in self.cells[::-1])
        rows, columns = self.rows[::-1], self.columns[::-1]
        return Found(cells, rows, columns, self.indents[::-1], self.wide)


@dataclass(frozen=True, slots=True)
class _Line:
    cells: str
    name: str
    indent: int
    wide: int


def grid_in(text: str) -> Found | None:
    """The largest grid of at least three rows in the text; chess positions may stand in FEN."""
    if fen := _FEN.search(text):
        return _of_fen(fen[1])
    lines = text.split("\n")
    columns = next(filter(None, map(_header, lines)), ())
    blocks: list[list[_Line]] = [[]]
    for line in lines:
        row = None if _header(line) else _row(line, len(columns))
        if row and blocks[-1] and len(row.cells) == len(blocks[-1][-1].cells):
            blocks[-1].append(row)
        else:
            blocks.append([row] if row else [])
    largest = max(blocks, key=lambda block: sum(len(row.cells) for row in block))
    if not 3 <= len(largest) <= LARGEST or len(largest[0].cells) > LARGEST:
        return None
    return _found(largest, columns)


def _found(block: list[_Line], columns: tuple[str, ...]) -> Found:
    width = len(block[0].cells)
    first = min(row.indent for row in block)
    return Found(
        cells=tuple(row.cells for row in block),
        rows=tuple(row.name for row in block),
        columns=columns if len(columns) == width else ("",) * width,
        indents=tuple(row.indent - first for row in block),
        wide=block[0].wide,
    )


def _header(line: str) -> tuple[str, ...]:
    """The names of columns, where the line has those and nothing else: letters in order, from the
    first on; in go there is no i."""
    names = line.lower().replace(" ", "")
    for letters in (_LETTERS, _LETTERS.replace("i", "")):
        if len(names) > 1 and letters.startswith(names):
            return tuple(names)
    return ()


def _row(line: str, width: int) -> _Line | None:
    """A line that is a row, with its number before it and perhaps behind it; of `width` cells where
    that is known."""
    text = line.translate(_BRACKETS).strip()
    for digits in (0, 1, 2):
        name = text[:digits]
        if digits and not name.isdigit():
            return None
        rest = text[digits:]
        body = rest.strip()
        body = body.removesuffix(f" {name}") if name else body
        cells = body.split() if " " in body else list(body)
        if _fits(cells, width, bool(name)):
            indent = len(line) - len(line.lstrip()) if not name else 0
            return _Line("".join(cells), name, indent, 2 if " " in body else 1)
    return None


def _fits(cells: list[str], width: int, named: bool) -> bool:
    if len(cells) < 2 or any(len(cell) != 1 or cell == "|" for cell in cells):
        return False
    if width:
        return len(cells) == width
    return not any(cell.isdigit() for cell in cells)


def _of_fen(board: str) -> Found | None:
    rows = tuple(re.sub(r"\d", lambda d: "." * int(d[0]), row) for row in board.split("/"))
    if {len(row) for row in rows} != {8}:
        return None
    names = tuple(str(8 - number) for number in range(8))
    return Found(rows, names, tuple("abcdefgh"), (0,) * 8, 1)
