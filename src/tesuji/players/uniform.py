"""The random player: every legal move is as likely as any other."""

import random
from collections.abc import Sequence

from tesuji.players.base import MoveRequest, Player, Reply


class RandomPlayer(Player):
    """Chooses uniformly, from each request's own random stream. Free text gets no words."""

    name = "random"

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        """One random legal move a request."""
        return [self._one(request) for request in requests]

    def _one(self, request: MoveRequest) -> Reply:
        if not request.legal:
            return Reply(error="the random player needs a list of legal moves")
        return Reply(move=random.Random(request.seed).choice(request.legal))

    def probabilities(self, requests: Sequence[MoveRequest]) -> list[dict[int, float]]:
        """Move id → probability for each request."""
        return [
            {move.id: 1 / len(request.legal) for move in request.legal} if request.legal else {}
            for request in requests
        ]
