"""The certificate: one player's whole game tree against every reply an opponent can make.

Where the policy under test is greedy, this is a proof, not a sample: "never loses: N lines
checked". It needs a deterministic perfect-information game small enough to be walked; the same
position is asked about once, however many lines reach it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tesuji.core.errors import GameError
from tesuji.core.types import Move
from tesuji.evaluation.matches.position_moves import moves_at
from tesuji.evaluation.results import Certificate
from tesuji.games.base import Game, Match
from tesuji.players.base import Player

LINE_LIMIT = 2_000_000


def certify(
    game: Game,
    player: Player,
    *,
    answer: Literal["id", "move"] = "move",
) -> tuple[Certificate, ...]:
    """One certificate a seat, seat 0 first.

    Raises GameError when the game has chance, hidden information or more than two seats, or
    when its tree has more than two million lines.
    """
    info = game.info
    if game.num_players != 2 or info.chance or info.information != "perfect" or info.simultaneous:
        raise _impossible(game, "it needs two seats, turns, no chance, nothing hidden")
    return tuple(_Walk(game, player, seat, answer).certificate() for seat in range(2))


@dataclass
class _Walk:
    """The whole tree, walked for one seat. `answers` holds the move, if any, at each observation:
    the same view must get the same answer. `counts` is what the lines that ended came to."""

    game: Game
    player: Player
    seat: int
    answer: Literal["id", "move"]
    answers: dict[str, Move | None] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    losing_line: tuple[str, ...] = ()

    def certificate(self) -> Certificate:
        """Every line to its end, all lines a move further at a time."""
        start = self.game.start(seed=0)
        role = start.role(self.seat)
        lines = [_Line(start)]
        while lines:
            self._answer_all(lines)
            lines = [longer for line in lines for longer in self._step(line)]
            if len(lines) > LINE_LIMIT:
                raise _impossible(self.game, f"more than {LINE_LIMIT:,} lines")
        wins, draws, losses, illegal = (
            self.counts[name] for name in ("win", "draw", "loss", "illegal")
        )
        return Certificate(
            seat=self.seat,
            role=role,
            lines=wins + draws + losses,
            wins=wins,
            draws=draws,
            losses=losses,
            illegal=illegal,
            positions=len(self.answers),
            losing_line=self.losing_line,
        )

    def _answer_all(self, lines: Sequence["_Line"]) -> None:
        """Ask the player, in one batch, about every position of this depth not yet answered."""
        seat = self.seat
        ours = {line.match.observe(seat): line.match for line in lines if seat in line.match.to_act}
        fresh = {view: match for view, match in ours.items() if view not in self.answers}
        places = [(match, seat) for match in fresh.values()]
        moves = moves_at(self.game, self.player, places, self.answer)
        self.answers.update(zip(fresh, moves, strict=True))

    def _step(self, line: "_Line") -> Iterator["_Line"]:
        """The lines that follow this one; none when it has ended, which is counted."""
        match, seat = line.match, self.seat
        if not match.to_act:
            returns = match.returns()
            self._count(line.moves, returns[seat] - returns[1 - seat])
        elif (mover := match.to_act[0]) != seat:
            for move in match.legal_moves(mover) or ():
                yield line.played(mover, move)
        elif (ours := self.answers[match.observe(seat)]) is not None:
            yield line.played(seat, ours)
        else:
            self.counts["illegal"] += 1
            self._count((*line.moves, "(no legal move)"), -1.0)

    def _count(self, moves: tuple[str, ...], lead: float) -> None:
        self.counts["win" if lead > 0 else "loss" if lead < 0 else "draw"] += 1
        if lead < 0 and (not self.losing_line or len(moves) < len(self.losing_line)):
            self.losing_line = moves


@dataclass(slots=True)
class _Line:
    """A way through the tree: where it stands and how it came there."""

    match: Match
    moves: tuple[str, ...] = ()

    def played(self, seat: int, move: Move) -> "_Line":
        """The line after this move."""
        match = self.match.clone()
        match.play(seat, move)
        return _Line(match, (*self.moves, move.text))


def _impossible(game: Game, why: str) -> GameError:
    return GameError(
        f"no certificate for {game.name}: {why}",
        where="evaluation.certificate",
        hint="set `certificate: false`",
    )
