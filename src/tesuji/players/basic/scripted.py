"""Players that follow a simple rule: for tests, baselines and small experiments."""

from typing import Any

from tesuji.core.errors import RecipeError
from tesuji.players.base import MoveRequest, OneByOne, Reply


class ScriptedPlayer(OneByOne):
    """Plays the first legal move of `prefer` (a list of notations), else by `policy`: the
    `first` or the `last` of the legal moves, in the game's own order.

    Raises RecipeError for another policy or a `prefer` that is no list of texts.
    """

    name = "scripted"

    def __init__(self, policy: str = "first", prefer: Any = ()) -> None:
        if policy not in ("first", "last"):
            raise RecipeError(
                f"no such policy: {policy!r}", where="player: scripted", hint="first or last"
            )
        if not isinstance(prefer, list | tuple) or not all(isinstance(p, str) for p in prefer):
            raise RecipeError(
                f"prefer must be a list of moves, not {prefer!r}",
                where="player: scripted",
                hint='prefer: ["x(1,1)", "x(0,0)"]',
            )
        self.policy = policy
        self.prefer = tuple(prefer)

    def reply(self, request: MoveRequest) -> Reply:
        """The move of the rule."""
        legal = request.legal
        if not legal:
            return Reply(error="the scripted player needs a list of legal moves")
        by_text = {move.text: move for move in legal}
        wanted = next((by_text[text] for text in self.prefer if text in by_text), None)
        return Reply(move=wanted or legal[0 if self.policy == "first" else -1])
