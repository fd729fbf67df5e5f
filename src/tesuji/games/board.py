"""A board drawn for people: its cells in a frame, named as the game's moves name them.

    print(drawn(load_game("tic_tac_toe"), match.observe(seat)))

What a game shows stays as it is unless a plain grid (`.x.`, one line a row) or a position in FEN is
in it. How rows and columns are called is found by trying: each first move is played in a copy, and
the one cell that changes tells what the move's letters and numbers stand for. Where that does not
work out the grid stays bare. Nothing is shown that was not in the text.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tesuji.core.errors import TesujiError
from tesuji.games.base import Game

MOST_MOVES = 400  # first moves that are tried
BOXED = 10  # columns up to which a board gets a frame
_FEN = re.compile(r"^([1-8a-zA-Z]{1,8}(?:/[1-8a-zA-Z]{1,8}){7}) (.*)$", re.MULTILINE)
_TOKENS = re.compile(r"\d+|[a-z](?=\d)")


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells by row, where their lines stand in the text, and how far each line is moved in."""

    cells: list[list[str]]
    first: int
    indents: list[int]

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return len(self.cells), len(self.cells[0])


@dataclass(frozen=True, slots=True)
class Names:
    """What rows and columns of a grid of this shape are called; either may be nameless."""

    shape: tuple[int, int]
    rows: Mapping[int, str] = field(default_factory=dict)
    columns: Mapping[int, str] = field(default_factory=dict)


def drawn(game: Game, text: str) -> str:
    """The text with its board drawn, if it has one; else as it is."""
    if fen := _FEN.search(text):
        return _with_fen(text, fen)
    grids = _grids(text)
    names = names_of(game) if grids else None
    grid = next((one for one in grids if names and one.shape == names.shape), None)
    if grid is None or names is None:
        return text
    lines = text.split("\n")
    lines[grid.first : grid.first + len(grid.cells)] = _drawing(grid, names)
    return "\n".join(lines)


def _grids(text: str) -> list[Grid]:
    """Blocks of at least two lines that are rows of equally many cells, the largest first."""
    grids: list[Grid] = []
    last: Grid | None = None
    for number, line in enumerate(text.split("\n")):
        row, indent = _row(line), len(line) - len(line.lstrip())
        if row and last and len(row) == last.shape[1]:
            last.cells.append(row)
            last.indents.append(indent)
            continue
        last = Grid([row], number, [indent]) if row else None
        grids += [last] if last else []
    large = [grid for grid in grids if len(grid.cells) > 1]
    return sorted(large, key=lambda grid: -grid.shape[0] * grid.shape[1])


def _row(line: str) -> list[str]:
    """The cells of a line, single characters side by side or a blank apart; [] if it is none."""
    parts = line.split()
    cells = list(parts[0]) if len(parts) == 1 else parts
    fits = len(cells) > 1 and all(len(c) == 1 and not c.isdigit() for c in cells)
    return cells if fits else []


_found: dict[str, Names | None] = {}


def names_of(game: Game) -> Names | None:
    """What the moves of this game call the rows and columns of its grid, where it has one."""
    key = f"{game.name} {dict(game.options)!r}"
    if key not in _found:
        names = None
        with suppress(TesujiError):  # a game that cannot be tried keeps its own words
            names = _by_trying(game)
        _found[key] = names
    return _found[key]


def _by_trying(game: Game) -> Names | None:
    match = game.start(0)
    seat = match.to_act[0] if match.to_act else 0
    grids = _grids(match.observe(seat))
    moves = match.legal_moves(seat) if match.to_act and grids else ()
    seen = []
    for move in (moves or ())[:MOST_MOVES]:
        tried = match.clone()
        tried.play(seat, move)
        after = (grid for grid in _grids(tried.observe(seat)) if grid.shape == grids[0].shape)
        changed = _changes(grids[0], next(after, grids[0]))
        if len(changed) == 1:
            seen.append((changed[0], _TOKENS.findall(move.text.lower())))
    return _consistent(grids[0].shape, seen) if seen else None


def _changes(before: Grid, after: Grid) -> list[tuple[int, int]]:
    rows, columns = before.shape
    cells = ((row, column) for row in range(rows) for column in range(columns))
    return [(r, c) for r, c in cells if before.cells[r][c] != after.cells[r][c]]


def _consistent(
    shape: tuple[int, int], seen: Sequence[tuple[tuple[int, int], Sequence[str]]]
) -> Names | None:
    """The reading of the moves' tokens, the same ones in all of them aside, that fits all cells."""
    lengths = {len(tokens) for _, tokens in seen}
    if len(lengths) != 1:
        return None
    varying = [n for n in range(lengths.pop()) if len({tokens[n] for _, tokens in seen}) > 1]
    cells = [cell for cell, _ in seen]
    values = [[tokens[n] for _, tokens in seen] for n in varying]
    axes = [[cell[axis] for cell in cells] for axis in (0, 1)]
    if len(values) == 1:
        columns = _one_to_one(axes[1], values[0])
        return Names(shape, {}, columns) if columns else None
    for first, second in ((0, 1), (1, 0)) if len(values) == 2 else ():
        rows, columns = _one_to_one(axes[0], values[first]), _one_to_one(axes[1], values[second])
        if rows and columns:
            return Names(shape, rows, columns)
    return None


def _one_to_one(places: Sequence[int], names: Sequence[str]) -> dict[int, str]:
    """Place → name, where each has one and no two share one; else {}."""
    pairs = set(zip(places, names, strict=True))
    alone = len({place for place, _ in pairs}) == len({name for _, name in pairs}) == len(pairs)
    return dict(pairs) if alone else {}


def _drawing(grid: Grid, names: Names) -> list[str]:
    flat = len(set(grid.indents)) == 1
    if flat and grid.shape[1] <= BOXED:
        return _boxed(grid.cells, names)
    return _bare(grid, names)


def _boxed(cells: Sequence[Sequence[str]], names: Names) -> list[str]:
    """Each cell in a frame of its own."""
    columns = range(len(cells[0]))
    wide = max(map(len, names.rows.values()), default=0)
    margin = " " * (wide + 1 if wide else 0)
    bar = "┼".join("───" for _ in columns)
    lines = [margin + " " + " ".join(f"{names.columns.get(c, ''):^3}" for c in columns).rstrip()]
    lines.append(f"{margin}┌{bar.replace('┼', '┬')}┐")
    for number, row in enumerate(cells):
        if number:
            lines.append(f"{margin}├{bar}┤")
        label = f"{names.rows.get(number, ''):>{wide}} " if wide else ""
        lines.append(f"{label}│{'│'.join(f' {_shown(cell)} ' for cell in row)}│")
    return [*lines, f"{margin}└{bar.replace('┼', '┴')}┘"]


def _shown(cell: str) -> str:
    return " " if cell == "." else cell


def _bare(grid: Grid, names: Names) -> list[str]:
    """Rows without a frame: for large boards, and for those whose rows are moved in."""
    wide = max([len(name) for name in names.rows.values()], default=0)
    across = max([len(name) for name in names.columns.values()], default=1)
    heads = (f"{names.columns.get(c, ''):>{across}}" for c in range(grid.shape[1]))
    lines = [" " * (wide + 1) + " ".join(heads)]
    for number, row in enumerate(grid.cells):
        label = f"{names.rows.get(number, ''):>{wide}} " + " " * grid.indents[number]
        lines.append(label + " ".join(f"{cell:>{across}}" for cell in row))
    return lines


def _with_fen(text: str, fen: re.Match[str]) -> str:
    """The position drawn as chess does, White below, in place of its FEN."""
    rows = [re.sub(r"\d", lambda d: "." * int(d[0]), row) for row in fen[1].split("/")]
    if {len(row) for row in rows} != {8}:
        return text
    names = Names((8, 8), {n: str(8 - n) for n in range(8)}, dict(enumerate("abcdefgh")))
    board = "\n".join(_boxed([list(row) for row in rows], names))
    return text[: fen.start()] + board + "\n" + fen[2] + text[fen.end() :]
