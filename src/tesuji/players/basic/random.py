"""The random player: every legal move is as likely as any other."""

import random
from collections.abc import Sequence

from tesuji.players.base import MoveRequest, OneByOne, Reply


class RandomPlayer(OneByOne):
    """Chooses uniformly, from each request's own random stream. Where any text is a move, the game
    itself draws a reply, if it knows how."""

    name = "random"

    def reply(self, request: MoveRequest) -> Reply:
        """A random legal move."""
        rng = random.Random(request.seed)
        if request.legal:
            return Reply(move=rng.choice(request.legal))
        text = request.match.random_reply(request.seat, rng) if request.legal is None else None
        if text is None:
            return Reply(error="the random player needs a list of legal moves")
        return Reply(text=text)

    def probabilities(self, requests: Sequence[MoveRequest]) -> list[dict[int, float]]:
        """Move id → probability for each request."""
        return [
            {move.id: 1 / len(request.legal) for move in request.legal} if request.legal else {}
            for request in requests
        ]
