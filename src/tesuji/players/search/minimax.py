"""Minimax with alpha-beta: exact for small games, depth-limited for others.

A win in fewer plies is better, a loss in more plies is better. (Without that term minimax skips
an immediate win whenever a later one is just as certain: in tic-tac-toe in 392 of 2,358
positions.) For deterministic games of two seats with perfect information and zero sum.

    MinimaxPlayer().solve(match)   # {Move(4, "x(1,1)"): MoveValue(0.0, 8), ...}
"""

import functools
import random
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from tesuji.core.errors import GameError
from tesuji.core.types import Move
from tesuji.games.base import Match
from tesuji.players.base import MoveRequest, OneByOne, Reply

NODE_LIMIT = 3_000_000


class MoveValue(NamedTuple):
    """What a move leads to with best play: the final return from the mover's viewpoint, and in
    how many plies from before the move the game is over (or the search ends)."""

    value: float
    plies: int

    @property
    def rank(self) -> tuple[float, int]:
        """Larger is better: the value, then the quickest win or the slowest loss."""
        return self.value, (-self.plies if self.value > 0 else self.plies if self.value < 0 else 0)


class MinimaxPlayer(OneByOne):
    """Plays a best move, ties broken by the request's seed.

    `depth` None solves the game exactly and remembers every position; a number looks that many
    plies ahead and takes what lies beyond for a draw. Raises GameError for games it does not fit,
    when an exact solve exceeds three million positions, and for lines of many hundred plies.
    """

    name = "minimax"

    def __init__(self, depth: int | None = None) -> None:
        self.depth = depth
        self._known: dict[tuple[str, Any], MoveValue] = {}
        self._nodes = 0

    def reply(self, request: MoveRequest) -> Reply:
        """A best move."""
        best = best_moves(self.solve(request.match))
        return Reply(move=random.Random(request.seed).choice(best))

    def solve(self, match: Match) -> dict[Move, MoveValue]:
        """The value of every legal move of the seat that is to act. Raises GameError."""
        state = _state_of(match)
        self._nodes = 0
        seat = match.to_act[0]
        moves = match.legal_moves(seat) or ()
        try:
            return {move: self._after(state.child(move.id), seat) for move in moves}
        except RecursionError as error:
            raise self._refusal(state, "has lines too long for minimax to follow") from error

    def _after(self, child: Any, mover: int) -> MoveValue:
        """A move's value for `mover`, given the position it leads to."""
        left = None if self.depth is None else self.depth - 1
        result = self._exact(child) if left is None else self._limited(child, left, -_INF, _INF)
        sign = 1.0 if child.is_terminal() or child.current_player() == mover else -1.0
        value = child.returns()[mover] if child.is_terminal() else sign * result.value
        return MoveValue(value + 0.0, result.plies + 1)

    def _exact(self, state: Any) -> MoveValue:
        """The value of a position for the seat to move there, every line followed to its end."""
        if state.is_terminal():
            return MoveValue(0.0, 0)
        key = _key(state)
        if key not in self._known:
            self._count(state)
            mover = state.current_player()
            children = (self._after(state.child(a), mover) for a in state.legal_actions())
            self._known[key] = max(children, key=lambda result: result.rank)
        return self._known[key]

    def _limited(self, state: Any, depth: int, alpha: float, beta: float) -> MoveValue:
        """Alpha-beta (Knuth and Moore 1975) to `depth` plies, for the seat to move there."""
        if state.is_terminal() or depth == 0:
            return MoveValue(0.0, 0)
        mover = state.current_player()
        best = MoveValue(-_INF, 0)
        for action in state.legal_actions():
            result = self._limited_child(state.child(action), mover, depth - 1, alpha, beta)
            best = max(best, result, key=lambda value: value.rank)
            alpha = max(alpha, best.value)
            if alpha > beta:  # strictly: an equal value may still be a quicker win
                break
        return best

    def _limited_child(
        self, child: Any, mover: int, depth: int, alpha: float, beta: float
    ) -> MoveValue:
        if child.is_terminal():
            return MoveValue(child.returns()[mover], 1)
        same = child.current_player() == mover
        window = (alpha, beta) if same else (-beta, -alpha)
        result = self._limited(child, depth, *window)
        return MoveValue((result.value if same else -result.value) + 0.0, result.plies + 1)

    def _count(self, state: Any) -> None:
        self._nodes += 1
        if self._nodes > NODE_LIMIT:
            raise self._refusal(
                state, f"is too big to be solved: more than {NODE_LIMIT:,} positions"
            )

    def _refusal(self, state: Any, why: str) -> GameError:
        name = state.get_game().get_type().short_name
        depth = "a `depth`" if self.depth is None else "a smaller `depth`"
        hint = f"give it {depth}, or use mcts"
        return GameError(f"{name} {why}", where="player: minimax", hint=hint)


_INF = float("inf")

# Games whose board and side to move say all that matters for what follows, and transformations
# that leave the board as it is. In others the same board can have another future (repetition,
# castling, ko), so the history is the key.
_BOARD_IS_ENOUGH = frozenset(
    {
        "breakthrough",
        "clobber",
        "connect_four",
        "dots_and_boxes",
        "gomoku",
        "havannah",
        "hex",
        "misere",
        "mnk",
        "nim",
        "start_at",
        "tic_tac_toe",
        "y",
        "zerosum",
    }
)


def best_moves(values: Mapping[Move, MoveValue]) -> tuple[Move, ...]:
    """The moves of best value that also win soonest or lose latest."""
    best = max(result.rank for result in values.values())
    return tuple(move for move, result in values.items() if result.rank == best)


def optimal_moves(values: Mapping[Move, MoveValue]) -> tuple[Move, ...]:
    """All moves that keep the value of the position."""
    best = max(result.value for result in values.values())
    return tuple(move for move, result in values.items() if result.value == best)


def _key(state: Any) -> tuple[str, Any]:
    game = str(state.get_game())
    if _board_is_enough(game):
        return game, (state.current_player(), str(state))
    return game, tuple(state.history())


@functools.cache
def _board_is_enough(game: str) -> bool:
    """Of a game as pyspiel writes it, those inside it included: `misere(game=tic_tac_toe())`."""
    return _BOARD_IS_ENOUGH.issuperset(re.findall(r"(\w+)\(", game))


def _state_of(match: Match) -> Any:
    state = getattr(match, "state", None)
    if state is None:
        raise GameError("minimax plays OpenSpiel games only", where="player: minimax")
    kind = state.get_game().get_type()
    if not _fits(kind) or state.num_players() != 2:
        raise GameError(
            f"minimax cannot play {kind.short_name}: it needs two seats in turns, no chance, "
            "nothing hidden, and one seat's gain to be the other's loss",
            where="player: minimax",
            hint="use mcts (open games) or ismcts (hidden information)",
        )
    return state


def _fits(kind: Any) -> bool:
    return bool(
        kind.dynamics == kind.Dynamics.SEQUENTIAL
        and kind.chance_mode == kind.ChanceMode.DETERMINISTIC
        and kind.information == kind.Information.PERFECT_INFORMATION
        and kind.utility == kind.Utility.ZERO_SUM
    )
