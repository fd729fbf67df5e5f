"""The reward term for the form of function calls: a nudge beside the checker's verdict."""

from typing import TYPE_CHECKING

from tesuji.core.errors import RecipeError
from tesuji.games.bfcl.game import BfclMatch

if TYPE_CHECKING:
    from tesuji.episodes.rewards.terms import Judged, Term

NAME = "tool_format"
MOST = 0.2  # of what a right reply pays


def tool_format() -> "Term":
    """0..1: half for as many calls as are wanted, of the functions wanted; half for parameters that
    these functions take. Nothing for a reply that tries a trick, nor where no call is wanted."""

    def term(at: "Judged") -> float:
        match = at.match()
        if not isinstance(match, BfclMatch):
            raise RecipeError(
                f"{NAME} judges function calls, not {at.game.name}",
                where=f"rewards.{NAME}",
                hint="leave it out, or play bfcl",
            )
        if at.turn.move is None:
            return 0.0
        match.play(0, at.turn.move)
        return match.verdict.format

    return term


def check_weight(weight: float, returns: float) -> None:
    """Refuse a weight with which a well-formed wrong call would be worth much beside a right one.

    `returns` is the weight of what the checker pays, 0 where the recipe leaves it out.
    """
    if not 0 <= weight <= MOST * returns:
        raise RecipeError(
            f"with weight {weight:g} the form of a call outweighs what it is worth",
            where=f"rewards.{NAME}",
            hint=f"at most {MOST:g} of the weight of `returns`: "
            f"{{returns: 1.0, {NAME}: {MOST / 2:g}}}",
        )
