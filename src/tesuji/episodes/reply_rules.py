"""What becomes of a reply: a move is found in it, or it is asked for once more, or else the seat
forfeits or has a random move played for it."""

import functools
import random
from dataclasses import dataclass, replace
from typing import Literal

from tesuji.core.types import Attempt, Found, Move
from tesuji.players.base import MoveRequest, Reply
from tesuji.players.prompting.parse_reply import read_reply, split_thought


@dataclass(frozen=True, slots=True)
class TurnRules:
    """What happens around a reply. `max_moves` counts the turns of all seats together.

    `on_illegal` is what follows a second reply without a legal move: the seat loses the match
    (`forfeit`), or a `random` legal move is played in its place and recorded as not its own.
    """

    answer: Literal["id", "move"] = "move"
    retry: bool = True
    on_illegal: Literal["forfeit", "random"] = "forfeit"
    max_moves: int = 500

    def asks_again(self, attempt: Attempt, request: MoveRequest) -> bool:
        """Whether the seat gets its one retry: nothing legal was said, for the first time."""
        return attempt.move is None and self.retry and request.failed is None

    def substitute(self, request: MoveRequest) -> Move | None:
        """What is played where nothing legal was said in the end; None: the seat forfeits."""
        if self.on_illegal == "forfeit" or not request.legal:
            return None
        return random.Random(request.seed).choice(request.legal)


def read_attempt(reply: Reply, request: MoveRequest, answer: Literal["id", "move"]) -> Attempt:
    """What `reply` says: a move named directly, or the one found in its words."""
    if reply.move is not None:
        return Attempt(reply=reply.move.text, found=Found.EXACT, move=reply.move)
    if request.match.judges:
        return _whole_reply(reply)
    reader = functools.partial(request.match.read, request.seat)
    attempt = read_reply(reply.text, request.legal, prefer=reply.asked_for or answer, reader=reader)
    return replace(attempt, prompt=reply.prompt, tokens=reply.tokens)


def _whole_reply(reply: Reply) -> Attempt:
    """All that was said outside the thought is the move, also where that is nothing."""
    text = reply.text.encode("utf-8", "replace").decode("utf-8")  # lone surrogates cannot be stored
    thought, answer = split_thought(text)
    move = Move(-1, answer)
    return Attempt(text, thought, Found.EXACT, move, prompt=reply.prompt, tokens=reply.tokens)
