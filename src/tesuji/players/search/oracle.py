"""What a player would teach: its equally good moves in a position."""

from tesuji.core.errors import GameError
from tesuji.core.types import Move
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.players.basic.answer_key import AnswerKeyPlayer
from tesuji.players.prompting.parse_reply import split_thought
from tesuji.players.search.minimax import MinimaxPlayer, MoveValue, best_moves


def move_values(player: Player, request: MoveRequest) -> dict[Move, MoveValue] | None:
    """The value of every legal move, where the player knows it (minimax); else None."""
    return player.solve(request.match) if isinstance(player, MinimaxPlayer) else None


def oracle_moves(player: Player, request: MoveRequest) -> tuple[Move, ...]:
    """All moves the player holds for best: several from minimax, one from anybody else; of an
    answer key what it teaches.

    Raises GameError when the player answers without naming a move.
    """
    values = move_values(player, request)
    if values is not None:
        return best_moves(values)
    if isinstance(player, AnswerKeyPlayer) and (taught := player.taught(request)):
        return taught
    reply = player.choose([request])[0]
    move = named_move(reply, request.legal)
    if move is None:
        raise GameError(
            f"{player.name} cannot label positions: it {reply.error or 'answers in words'}",
            where="stages.data.oracle",
            hint="use minimax, mcts, ismcts or cfr",
        )
    return (move,)


def named_move(reply: Reply, legal: tuple[Move, ...] | None) -> Move | None:
    """The move a player names without words; its words, where any text is a move."""
    if reply.move is not None or legal is not None or reply.error:
        return reply.move
    return Move(-1, split_thought(reply.text)[1])
