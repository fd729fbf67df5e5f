"""How a game's board looks: a table for those we know, and what is likely for all others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tesuji.core.files import read_beside
from tesuji.games.base import Game
from tesuji.games.picture import Cell, Look, Shape

EMPTY = frozenset("._-·")
LIKELY: Mapping[str, Look] = {
    "x": "first", "X": "first", "b": "dark", "B": "dark", "@": "dark",
    "o": "second", "O": "second", "w": "light", "W": "light",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Looks:
    """What the characters of a board stand for. `columns`: a move is a column, wherever it is
    pressed; `line`: so many in a row win."""

    shape: Shape = "squares"
    pieces: Mapping[str, Look] = field(default_factory=lambda: LIKELY)
    written: Mapping[str, str] = field(default_factory=dict)
    discs: bool = False
    line: int = 0
    columns: bool = False

    def is_empty(self, char: str) -> bool:
        """Whether nothing stands where that character is."""
        crossing = char == "+" and self.shape == "crossings"
        return (crossing or char in EMPTY) and char not in self.pieces

    def cell(self, char: str) -> Cell:
        """The cell in which that character stands."""
        if self.is_empty(char):
            return Cell()
        look = self.pieces.get(char, "")
        return Cell(self.written.get(char, char), look, self.discs and bool(look))


def looks_of(game: Game) -> Looks:
    """How the board of this game looks, also inside a transformation such as `misere`."""
    known: Any = read_beside(__file__, "looks.yaml")
    found = known.get(getattr(game, "inner", game.name), {})
    looks = Looks(**found)
    line = game.options.get("k") if found.get("line") == 5 else None  # mnk says its own
    return looks if not isinstance(line, int) else Looks(**{**found, "line": line})
