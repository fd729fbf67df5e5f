"""What a player would teach: its equally good moves in a position."""

from collections.abc import Sequence
from dataclasses import replace

from tesuji.core.errors import GameError
from tesuji.core.seeds import stream
from tesuji.core.types import Attempt, Move
from tesuji.players.base import MoveRequest, OneByOne, Player, Reply
from tesuji.players.basic.answer_key import AnswerKeyPlayer
from tesuji.players.prompting.parse_reply import read_reply, split_thought
from tesuji.players.search.minimax import MinimaxPlayer, best_moves

AT_ONCE = 256  # requests to a player that takes them in batches


def oracle_moves(player: Player, request: MoveRequest) -> tuple[Move, ...]:
    """All moves the player holds for best: several from minimax, one from anybody else; of an
    answer key what it teaches; none where a player that answers in words names none.

    Raises GameError when the player does not answer.
    """
    return all_oracle_moves(player, [request])[0]


def all_oracle_moves(player: Player, requests: Sequence[MoveRequest]) -> list[tuple[Move, ...]]:
    """`oracle_moves` of each request, in one batch where the player takes batches."""
    if isinstance(player, MinimaxPlayer):
        return [best_moves(player.solve(request.match)) for request in requests]
    if isinstance(player, AnswerKeyPlayer):
        return [player.taught(one) or _chosen(player, [one])[0] for one in requests]
    return _chosen(player, requests)


def _chosen(player: Player, requests: Sequence[MoveRequest]) -> list[tuple[Move, ...]]:
    named = named_moves(player, requests)
    for reply, move in named:
        if move is None and not in_words(reply):
            raise GameError(
                f"{player.name} cannot label positions: it {reply.error or 'names no move'}",
                where="stages.data.oracle",
                hint="use minimax, mcts, ismcts or cfr",
            )
    return [() if move is None else (move,) for _, move in named]


def in_words(reply: Reply) -> bool:
    """Whether this comes from a player that answers in words; such a one may name no move."""
    return bool(reply.text or reply.prompt)


def batch_size(player: Player) -> int:
    """How many requests the player is asked at once."""
    return 1 if isinstance(player, OneByOne) else AT_ONCE


def named_moves(player: Player, requests: Sequence[MoveRequest]) -> list[tuple[Reply, Move | None]]:
    """Each request's reply and the move it names. One in words that names no legal move is asked
    for once more, with the reason."""
    replies = player.choose(requests)
    attempts = [_attempt(reply, one) for reply, one in zip(replies, requests, strict=True)]
    again = [
        place
        for place, (reply, attempt) in enumerate(zip(replies, attempts, strict=True))
        if attempt.move is None and in_words(reply) and not reply.error
    ]
    if again:
        asked = [
            replace(
                requests[place],
                failed=attempts[place],
                seed=stream(requests[place].seed, "again"),
            )
            for place in again
        ]
        for place, request, reply in zip(again, asked, player.choose(asked), strict=True):
            replies[place], attempts[place] = reply, _attempt(reply, request)
    return [(reply, attempt.move) for reply, attempt in zip(replies, attempts, strict=True)]


def _attempt(reply: Reply, request: MoveRequest) -> Attempt:
    """What a reply says: the move named without words, or in them; the words, where any text is
    one."""
    if reply.move is not None or reply.error:
        return Attempt("", move=reply.move)
    if request.legal is None:
        return Attempt(reply.text, move=Move(-1, split_thought(reply.text)[1]))
    attempt = read_reply(reply.text, request.legal, prefer=reply.asked_for or "move")
    return replace(attempt, prompt=reply.prompt)
