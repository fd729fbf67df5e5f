"""Boards: the grid in a game's text as a picture, with what is pressed for which move, the last
move and the line that won."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from tesuji.games.base import Game, Match
from tesuji.games.board import names_of
from tesuji.games.drawing.grids import Found, grid_in
from tesuji.games.drawing.looks import Looks, looks_of
from tesuji.games.drawing.pressing import Paths, paths
from tesuji.games.picture import Cell, Grid, Place

WAYS = ((0, 1), (1, 0), (1, 1), (1, -1))


def board_of(
    game: Game, match: Match, seat: int | None, side: int | None = None, *, press: bool = True
) -> Grid | None:
    """The board that `seat` is shown (None: the whole position), if there is one in its text, as
    it is seen from the seat `side`; with `press` what `seat` may press if it is to move."""
    looks = looks_of(game)
    text = match.render() if seat is None else match.observe(seat)
    found = grid_in(text)
    if found is None:
        return None
    turned = side is not None and match.role(side) == "Black" and looks.shape == "checkered"
    grid = _grid(game, found.turned() if turned else found, looks)
    if seat is None or not press or seat not in match.to_act:
        return grid

    def read(other: Match, viewer: int) -> Found | None:
        seen = grid_in(other.observe(viewer))
        return seen.turned() if seen and turned else seen

    pressed = paths(game, match, seat, read, looks)
    return replace(grid, moves=tuple(_columns(pressed, grid) if looks.columns else pressed))


def _grid(game: Game, found: Found, looks: Looks) -> Grid:
    rows, columns = found.rows, found.columns
    if not any(rows) or not any(columns):
        names = names_of(game)
        if names is not None and names.shape == found.shape:
            height, width = found.shape
            rows = _whole(names.rows, height)
            columns = _whole(names.columns, width)
    shifts = tuple(indent / found.wide for indent in found.indents)
    return Grid(
        cells=tuple(tuple(map(looks.cell, row)) for row in found.cells),
        shape="hexagons" if _slants(shifts) else looks.shape,
        rows=rows,
        columns=columns,
        shifts=shifts if any(shifts) else (),
    )


def _whole(names: Mapping[int, str], count: int) -> tuple[str, ...]:
    """The names of all places, or of none."""
    return tuple(names.get(place, "") for place in range(count if len(names) == count else 0))


def _slants(shifts: Sequence[float]) -> bool:
    return len(shifts) > 1 and all(a != b for a, b in pairwise(shifts))


def _columns(pressed: Paths, grid: Grid) -> Paths:
    """The whole column for a move that is one."""
    return [
        (number, ((row, path[-1][1]),))
        for number, path in pressed
        for row in range(len(grid.cells))
        if not grid.cells[row][path[-1][1]].piece
    ]


def with_last_move(before: Grid, after: Grid) -> Grid:
    """The cells marked that the last move filled or left, else those that it changed."""
    if _size(before) != _size(after):
        return after
    changed = [at for at in _places(after) if _bare(before, at) != _bare(after, at)]
    moved = [at for at in changed if "" in (_bare(before, at).piece, _bare(after, at).piece)]
    placed = [at for at in changed if _bare(after, at).piece]
    return _marked(after, moved if set(moved) & set(placed) else changed, "last")


def with_line(game: Game, grid: Grid) -> Grid:
    """The line marked that won, where as many in a row win."""
    line = looks_of(game).line
    won = {at for places in _lines(grid, line) for at in places} if line else set()
    return _marked(grid, sorted(won), "won")


def _lines(grid: Grid, length: int) -> Iterator[list[Place]]:
    """All runs of so many equal pieces."""
    height, width = _size(grid)
    for row, column in _places(grid):
        piece = _bare(grid, (row, column))
        for down, right in WAYS:
            places = [(row + n * down, column + n * right) for n in range(length)]
            inside = all(0 <= r < height and 0 <= c < width for r, c in places)
            if piece.piece and inside and all(_bare(grid, at) == piece for at in places):
                yield places


def _marked(grid: Grid, places: Sequence[Place], mark: str) -> Grid:
    if not places:
        return grid
    cells = [list(row) for row in grid.cells]
    for row, column in places:
        cells[row][column] = replace(cells[row][column], mark=mark)  # type: ignore[arg-type]
    return replace(grid, cells=tuple(map(tuple, cells)))


def _places(grid: Grid) -> list[Place]:
    height, width = _size(grid)
    return [(row, column) for row in range(height) for column in range(width)]


def _size(grid: Grid) -> tuple[int, int]:
    return len(grid.cells), len(grid.cells[0])


def _bare(grid: Grid, place: Place) -> Cell:
    return replace(grid.cells[place[0]][place[1]], mark="")
