"""The plain reward terms. Each judges one turn, before weighting.

`returns`, `legal`, `format` and `length` fit every game; `tool_format` is for function calls.
"""

import math

from tesuji.core.errors import RecipeError
from tesuji.episodes.rewards.base import Judged, Term
from tesuji.games.bfcl.game import BfclMatch
from tesuji.players.prompting.parse_reply import split_thought

RETRIED = -0.5
TOOL_FORMAT = "tool_format"
MOST_TOOL_FORMAT = 0.2  # of what a right reply pays


def returns() -> Term:
    """What the game paid, credited to the turn that earned it."""
    return lambda at: at.turn.reward


def legal() -> Term:
    """0 for a legal reply, -0.5 where a second one was needed, -1 where that was none either."""

    def term(at: Judged) -> float:
        if not at.turn.legal:
            return -1.0
        return RETRIED if at.turn.retried else 0.0

    return term


def format_(per: str = "turn") -> Term:
    """1 where the reply is the answer asked for and nothing else (no soft match, no words around
    it; a thought in front is fine), else 0. `per: match` divides by the turns of the seat, so that
    a long match is not worth more than a short one. Raises RecipeError for another `per`."""
    if per not in ("turn", "match"):
        raise RecipeError(
            f"per must be turn or match, not {per!r}", where="rewards.format", hint="per: match"
        )

    def term(at: Judged) -> float:
        last = at.turn.attempts[-1] if at.turn.attempts else None
        if last is None or last.move is None:
            return 0.0
        answer = split_thought(last.reply)[1].strip()
        turns = sum(turn.seat == at.turn.seat for turn in at.episode.turns)
        share = 1.0 if per == "turn" else 1.0 / turns
        return share * (answer in (last.move.text, str(last.move.id)))

    return term


def length(per: float = 100.0) -> Term:
    """Minus the tokens replied (all attempts), in units of `per`. Raises RecipeError for a `per`
    that is not above 0."""
    fits = isinstance(per, int | float) and not isinstance(per, bool) and 0 < per < math.inf
    if not fits:
        raise RecipeError(
            f"per must be a number of tokens above 0, not {per!r}",
            where="rewards.length",
            hint="per: 100",
        )

    def term(at: Judged) -> float:
        sampled = (attempt.tokens for attempt in at.turn.attempts)
        return -sum(len(tokens.reply_ids) for tokens in sampled if tokens is not None) / per

    return term


def tool_format() -> Term:
    """0..1: half for as many calls as are wanted, of the functions wanted; half for parameters that
    these functions take. Nothing for a reply that tries a trick, nor where no call is wanted."""

    def term(at: Judged) -> float:
        match = at.match()
        if not isinstance(match, BfclMatch):
            raise at.wrong_game(TOOL_FORMAT, "judges function calls", "leave it out, or play bfcl")
        if at.turn.move is None:
            return 0.0
        match.play(0, at.turn.move)
        return match.verdict.format

    return term


def check_weight(weight: float, returns: float) -> None:
    """Refuse a weight with which a well-formed wrong call would be worth much beside a right one.

    `returns` is the weight of what the checker pays, 0 where the recipe leaves it out.
    """
    if not 0 <= weight <= MOST_TOOL_FORMAT * returns:
        raise RecipeError(
            f"with weight {weight:g} the form of a call outweighs what it is worth",
            where=f"rewards.{TOOL_FORMAT}",
            hint=f"at most {MOST_TOOL_FORMAT:g} of the weight of `returns`: "
            f"{{returns: 1.0, {TOOL_FORMAT}: {MOST_TOOL_FORMAT / 2:g}}}",
        )
