"""What a match at a table follows from: the game, who sits where, the rules, the seed."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tesuji.core.progress import Progress
from tesuji.episodes.reply_rules import TurnRules
from tesuji.games.base import Game
from tesuji.players.base import Player


@dataclass(frozen=True, slots=True)
class Seat:
    """Who is to sit down: what it is called, and how it is had; None: a person."""

    name: str
    open: Callable[[Progress], Player] | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """All that a match follows from; `save`: whether it is kept once it is over."""

    game: Game
    seats: tuple[Seat, ...]
    rules: TurnRules = field(default_factory=TurnRules)
    seed: int = 0
    save: bool = False
    adviser: Callable[[Progress], Player] | None = None
    """A model that is asked what it holds of the moves, where none of those who play can be."""

    @property
    def names(self) -> tuple[str, ...]:
        """Who sits where."""
        return tuple(seat.name for seat in self.seats)

    @property
    def persons(self) -> tuple[int, ...]:
        """The seats of persons."""
        return tuple(place for place, seat in enumerate(self.seats) if seat.open is None)

    def again(self, *, swapped: bool) -> "Setting":
        """The next match, everybody perhaps a seat further."""
        seats = (*self.seats[1:], *self.seats[:1]) if swapped else self.seats
        return replace(self, seats=seats, seed=self.seed + 1)


class Told(Progress):
    """Progress in words, told as it comes."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.tell = tell
        self._what, self._total = "", 0

    def say(self, text: str) -> None:
        """As it is."""
        self.tell(text)

    def begin(self, words: str, total: int | None = None) -> None:
        """What it is."""
        self._what, self._total = words, total or 0
        self.tell(words)

    def update(self, done: int, note: str = "") -> None:
        """How far it is."""
        self.tell(f"{self._what} {done:,} of {self._total:,}" if self._total else self._what)
