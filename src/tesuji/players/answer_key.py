"""The key as a player: it replies what the game says is right, where games come with answers.

For data to learn from and for tests; it looks where no player may, so it is nobody's opponent.
"""

from collections.abc import Sequence

from tesuji.core.types import Move
from tesuji.players.base import MoveRequest, Player, Reply


class AnswerKeyPlayer(Player):
    """Gives the game's own answer to every question."""

    name = "answer_key"

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        """One right reply a request; an error where the game has no key to it."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: MoveRequest) -> Reply:
        answer = request.match.answer(request.seat)
        if answer is None:
            return Reply(error=f"{request.game.name} has no answer to this")
        return Reply(text=answer, move=Move(-1, answer))
