"""What a turn asks of a player where its log does not say: role, phase, and what is wanted.

    system   You are playing Secret Mafia as Doctor. Reply with ...
    user     Game Phase: voting
             Turn: 3

             Observation:
             [GAME] ...

Rows made from logs ask so, and so does the table (`prompt: logs`), where a model that learned from
such rows sits down.
"""

from tesuji.core.types import Message
from tesuji.games.textarena.secretmafia import is_secretmafia

ASKED = {
    "discussion": "Reply with what you say to the others.",
    "voting": "Reply with the player you vote for, as [3].",
    "night_mafia": "Reply with the player your team is to kill, as [3].",
    "night_doctor": "Reply with the player you protect, as [3].",
    "night_detective": "Reply with the player you investigate, as [3].",
}


def instruction(game: str, role: str, phase: str) -> str:
    """What the player is, and what is wanted of it now."""
    named = "Secret Mafia" if is_secretmafia(game) else game
    who = f" as {role}" if role else ""
    wanted = ASKED.get(phase, "") if is_secretmafia(game) else ""
    return f"You are playing {named}{who}. {wanted or 'Reply with your next action.'}"


def situation(phase: str, turn: int, observation: str) -> str:
    """What the player is shown; `turn` counts its turns from 0, the text from 1."""
    head = f"Game Phase: {phase}\n" if phase else ""
    return f"{head}Turn: {turn + 1}\n\nObservation:\n{observation.strip()}"


def messages(
    game: str, role: str, phase: str, turn: int, observation: str
) -> tuple[Message, Message]:
    """System and user message of a turn whose log does not say how it was asked."""
    return (
        Message(role="system", content=instruction(game, role, phase)),
        Message(role="user", content=situation(phase, turn, observation)),
    )
