"""SecretMafia as logs of it tell it: what was said at a turn, read as TextArena reads it.

Role, phase and targets are read from a transcript by `games/textarena/secretmafia.py`.
"""

from collections.abc import Sequence

from tesuji.core.types import Turn
from tesuji.episodes.transcript import shortened
from tesuji.games.textarena.secretmafia import NAMED, last_message, phase_of, read_action, targets


def turns(
    seat: int, role: str, observations: Sequence[str], replies: Sequence[str]
) -> tuple[Turn, ...]:
    """One player's turns from what it had been shown and what it replied, each a list in order."""
    parts = shortened(observations)
    return tuple(
        turn(seat, role, part, continues, last_message(whole), reply)
        for whole, (part, continues), reply in zip(observations, parts, replies, strict=True)
    )


def turn(seat: int, role: str, observation: str, continues: bool, message: str, reply: str) -> Turn:
    """One turn of a player who was last asked by `message`, and replied."""
    phase = phase_of(message)
    legal = targets(message) if phase in NAMED else ()
    attempt = read_action(reply, phase, legal)
    return Turn(
        seat=seat,
        role=role,
        observation=observation,
        attempts=(attempt,),
        played=attempt.move,
        phase=phase,
        continues=continues,
        legal_moves=legal,
    )
