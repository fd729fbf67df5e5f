"""A SecretMafia reply read as TextArena reads it: whom it names, and whether it may."""

from collections.abc import Sequence

from tesuji.core.types import Attempt, Found, Move
from tesuji.games.textarena.secretmafia import NAMED, named


def read_action(text: str, phase: str, legal: Sequence[Move]) -> Attempt:
    """What was said: a speech as it is; a vote or night action by the player it names."""
    if not text.strip():
        return Attempt(reply=text, problem="the reply is empty")
    if phase not in NAMED:
        return Attempt(reply=text, found=Found.EXACT, move=Move(-1, text.strip()))
    if (move := named(text)) is None:
        return Attempt(reply=text, problem="no player is named in brackets")
    if legal and move not in legal:
        return Attempt(reply=text, problem=f"player {move.id} cannot be named now")
    exact = text.strip() == move.text
    return Attempt(reply=text, found=Found.EXACT if exact else Found.SOFT, move=move)
