"""What a position looks like, for pages that draw it: a grid, cards, or what was said.

A match may describe its own (`Match.picture`); for many others `games/drawing` finds one in what
the game shows. All texts are shown as they are, and as texts.
"""

from dataclasses import dataclass
from typing import Literal

Place = tuple[int, int]  # (row, column), from the top left
Shape = Literal["squares", "checkered", "crossings", "holes", "hexagons", "letters"]
Look = Literal[
    "", "first", "second", "dark", "light", "right", "present", "absent", "off"
]  # of two sides, of two colours, of a letter's mark; "off": no cell at all


@dataclass(frozen=True, slots=True)
class Cell:
    """A place of a grid. `piece`: a character or few; drawn as a disc of the colour `look`, or
    written. `mark`: part of the last move, or of the line that won."""

    piece: str = ""
    look: Look = ""
    disc: bool = False
    mark: Literal["", "last", "won"] = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """A board. `rows` and `columns` are what moves call them, "" where they do not; row r is moved
    to the right by `shifts[r]` cells. `moves` are (a move's number, the cells to press for it, in
    order): one cell, or where from and where to."""

    cells: tuple[tuple[Cell, ...], ...]
    shape: Shape = "squares"
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    shifts: tuple[float, ...] = ()
    moves: tuple[tuple[int, tuple[Place, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Hand:
    """Cards of somebody, or on the table: "Ah", "K"; "?" lies face down."""

    title: str
    cards: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Cards:
    """Hands of cards, and what there is to say about the table."""

    hands: tuple[Hand, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Chat:
    """What was said: (who, the words)."""

    lines: tuple[tuple[str, str], ...]


Picture = Grid | Cards | Chat
