"""What a player would teach: its equally good moves in a position."""

from tesuji.core.errors import GameError
from tesuji.core.types import Move
from tesuji.players.base import MoveRequest, Player
from tesuji.players.minimax import MinimaxPlayer, MoveValue, best_moves


def move_values(player: Player, request: MoveRequest) -> dict[Move, MoveValue] | None:
    """The value of every legal move, where the player knows it (minimax); else None."""
    return player.solve(request.match) if isinstance(player, MinimaxPlayer) else None


def oracle_moves(player: Player, request: MoveRequest) -> tuple[Move, ...]:
    """All moves the player holds for best: several from minimax, one from anybody else.

    Raises GameError when the player answers without naming a move.
    """
    values = move_values(player, request)
    if values is not None:
        return best_moves(values)
    reply = player.choose([request])[0]
    if reply.move is None:
        raise GameError(
            f"{player.name} cannot label positions: it {reply.error or 'answers in words'}",
            where="stages.data.oracle",
            hint="use minimax, mcts, ismcts or cfr",
        )
    return (reply.move,)
