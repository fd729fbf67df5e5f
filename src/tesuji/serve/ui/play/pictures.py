"""A board as its page shows it: every cell with a name for those who do not see it, and what is
played when it is pressed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tesuji.core.redact import visible
from tesuji.core.types import Move
from tesuji.episodes.show import move_words
from tesuji.games.picture import Cell, Grid, Place
from tesuji.serve.ui.play.thinking import Opinion, Thoughts

SUITS = {"s": "♠", "h": "♥", "d": "♦", "c": "♣"}


@dataclass(frozen=True, slots=True)
class CellView:
    """A cell: `number` of the one move it stands for; `pressed`: it is one of several to press.
    `chance`: how likely the model plays here, or from here; `best`: an oracle's move."""

    at: str
    text: str
    look: str
    disc: bool
    mark: str
    dark: bool
    label: str
    number: int | None
    pressed: bool
    chance: float | None
    best: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A row of cells, moved to the right by so many."""

    name: str
    shift: float
    cells: tuple[CellView, ...]


@dataclass(frozen=True, slots=True)
class BoardView:
    """A grid; it is `across` cells wide. `paths`: as JSON, [number, cells, words] of the moves that
    take several."""

    shape: str
    across: float
    named: bool
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    paths: str


def board_view(grid: Grid, legal: Sequence[Move], thoughts: Thoughts | None = None) -> BoardView:
    """The grid with what the legal moves are pressed for, and what is held of them."""
    words = {move.id: move_words(move) for move in legal}
    moves = [(number, path) for number, path in grid.moves if number in words and path]
    single = _single(moves)
    pressed = set() if single else {at for _, path in moves for at in path}
    held = _held(grid, thoughts or Thoughts())
    width = len(grid.cells[0])
    shifts = grid.shifts or (0.0,) * len(grid.cells)
    lines = tuple(
        Line(
            _name(grid.rows, row),
            shifts[row],
            tuple(
                _cell(grid, (row, column), cell, single, words, (row, column) in pressed, held)
                for column, cell in enumerate(cells)
            ),
        )
        for row, cells in enumerate(grid.cells)
    )
    steps = [] if single else [[n, [_at(at) for at in path], words[n]] for n, path in moves]
    named = any(line.name for line in lines)
    columns = tuple(_name(grid.columns, column) for column in range(width))
    across = width + max(shifts)
    return BoardView(grid.shape, across, named, columns, lines, json.dumps(steps))


@dataclass(frozen=True, slots=True)
class Held:
    """By cell: how likely the model plays there, or from there; cells of an oracle's moves."""

    chances: Mapping[Place, float]
    best: frozenset[Place]


def _held(grid: Grid, thoughts: Thoughts) -> Held:
    model, oracle = thoughts.model or Opinion(""), thoughts.oracle or Opinion("")
    paths = dict(grid.moves)  # of several cells for one move the last counts: where it falls to
    chances: dict[Place, float] = {}
    for number, path in paths.items():
        if number in model.chances:
            chances[path[0]] = chances.get(path[0], 0.0) + model.chances[number]
    return Held(
        chances, frozenset(at for n, path in paths.items() if n in oracle.best for at in path)
    )


def _single(moves: Sequence[tuple[int, tuple[Place, ...]]]) -> dict[Place, int]:
    """Cell → move, where each move is one cell and each cell one move; else {}."""
    cells = [(path[0], number) for number, path in moves if len(path) == 1]
    alone = len(cells) == len(moves) == len(dict(cells))
    return dict(cells) if alone else {}


def _cell(
    grid: Grid,
    place: Place,
    cell: Cell,
    single: Mapping[Place, int],
    words: Mapping[int, str],
    pressed: bool,
    held: Held,
) -> CellView:
    number, chance = single.get(place), held.chances.get(place)
    label = f"{_place_name(grid, place)}: {_piece(cell)}"
    label += "" if chance is None else f", the model {chance:.0%}"
    label += ", the oracle's" if place in held.best else ""
    return CellView(
        at=_at(place),
        text=visible(cell.piece),
        look=cell.look,
        disc=cell.disc,
        mark=cell.mark,
        dark=grid.shape == "checkered" and sum(place) % 2 == 1,
        label=label if number is None else f"{label}, play {words[number]}",
        number=number,
        pressed=pressed,
        chance=chance,
        best=place in held.best,
    )


def _piece(cell: Cell) -> str:
    """What stands there, in words."""
    if not cell.piece:
        return "empty"
    marks = {"last": ", just moved", "won": ", of the line that won"}
    look = f" {cell.look}" if cell.look else ""
    return f"{visible(cell.piece)}{look}{marks.get(cell.mark, '')}"


def _place_name(grid: Grid, place: Place) -> str:
    row, column = _name(grid.rows, place[0]), _name(grid.columns, place[1])
    if row and column.isalpha():
        return f"{column}{row}"
    return f"row {row or place[0] + 1}, column {column or place[1] + 1}"


def _name(names: Sequence[str], place: int) -> str:
    return visible(names[place]) if place < len(names) else ""


def _at(place: Place) -> str:
    return f"{place[0]}-{place[1]}"


def card_face(card: str) -> tuple[str, str, str]:
    """(what is written on a card, its colour, its name): "Qs" is ("Q♠", "black", "Q of spades")."""
    if card in ("?", "??"):
        return "", "back", "face down"
    rank, suit = card[:-1], card[-1:]
    sign = SUITS.get(suit, suit if suit in SUITS.values() else "")
    if not sign or not rank:
        return visible(card), "black", visible(card)
    names = dict(zip(SUITS.values(), ("spades", "hearts", "diamonds", "clubs"), strict=True))
    colour = "red" if sign in "♥♦" else "black"
    return f"{rank}{sign}", colour, f"{rank} of {names[sign]}"
