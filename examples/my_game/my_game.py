"""Race to twenty-one: two players add 1, 2 or 3 in turns; who says the last number wins."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tesuji.core.errors import GameError, IllegalMove
from tesuji.core.types import Move
from tesuji.games.base import Game, GameInfo, Match


def load(name: str, options: Mapping[str, Any]) -> "Race":
    """The game with these options: what the entry point names."""
    target = options.get("target", 21)
    if set(options) - {"target"} or not isinstance(target, int) or target < 1:
        raise GameError("the one option is a whole number above 0: target", where="game.options")
    return Race(name, dict(options))


@dataclass(frozen=True)
class Race(Game):
    num_players = 2

    @property
    def target(self) -> int:
        return int(self.options.get("target", 21))

    @property
    def info(self) -> GameInfo:
        return GameInfo(
            name=self.name, title="Race to twenty-one", family="my-game", seats=(2, 2),
            information="perfect", chance=False, simultaneous=False, zero_sum=True,
            min_utility=-1.0, max_utility=1.0, max_moves=self.target,
            metrics=("certificate",),
        )  # fmt: skip

    @property
    def rules(self) -> str:
        return f"In turns, add 1, 2 or 3 to the count. Who reaches {self.target} wins."

    def start(self, seed: int) -> "RaceMatch":
        return RaceMatch(self.target)  # a game with chance would draw it from random.Random(seed)


class RaceMatch(Match):
    def __init__(self, target: int, count: int = 0, turn: int = 0, winner: int | None = None):
        self.target, self.count, self.turn, self.winner = target, count, turn, winner

    @property
    def to_act(self) -> tuple[int, ...]:
        return () if self.winner is not None else (self.turn,)

    def observe(self, seat: int) -> str:
        return f"count {self.count} of {self.target}"

    def legal_moves(self, seat: int) -> tuple[Move, ...]:
        if seat not in self.to_act:
            return ()
        return tuple(Move(n, f"add {n}") for n in (1, 2, 3) if self.count + n <= self.target)

    def play(self, seat: int, move: Move) -> None:
        if move not in self.legal_moves(seat):
            raise IllegalMove(f"{move.text} is not legal here", where="race_to_21")
        self.count += move.id
        self.winner = seat if self.count == self.target else None
        self.turn = 1 - seat

    def forfeit(self, seat: int) -> None:
        self.winner = 1 - seat

    def returns(self) -> tuple[float, ...]:
        if self.winner is None:
            return (0.0, 0.0)
        return (1.0, -1.0) if self.winner == 0 else (-1.0, 1.0)

    def role(self, seat: int) -> str:
        return f"Player {seat}"

    def render(self) -> str:
        return self.observe(0)

    def clone(self) -> "RaceMatch":
        return RaceMatch(self.target, self.count, self.turn, self.winner)
