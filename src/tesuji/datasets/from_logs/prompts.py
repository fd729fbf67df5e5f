"""The messages that a turn of a log becomes.

A log that says what was asked (chats, poker decisions, models of ours) is taken at its word. Of
other turns, what the seat had been shown is put into a system message and a user message:

    system   You are playing Secret Mafia as Doctor. Reply with ...
    user     Game Phase: voting
             Turn: 3

             Observation:
             [GAME] ...
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

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


def logged(prompt: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """The messages that an attempt's own prompt holds."""
    return tuple(Message(role=str(m["role"]), content=str(m["content"])) for m in prompt)


class Seen(NamedTuple):
    """A turn as its row has it, `number` counted among those of its seat, and all its seat had been
    shown, in parts."""

    place: int
    number: int
    turn: Mapping[str, Any]
    parts: Sequence[str]


def seen_turns(row: Mapping[str, Any]) -> Iterator[Seen]:
    """Every turn of an episode's row."""
    parts: dict[int, list[str]] = {}
    numbers: dict[int, int] = {}
    for place, turn in enumerate(row["turns"]):
        seat = turn["seat"]
        if not turn.get("continues") or seat not in parts:
            parts[seat] = []
        parts[seat].append(turn["observation"])
        numbers[seat] = numbers.get(seat, -1) + 1
        yield Seen(place, numbers[seat], turn, parts[seat])


def prompt_of(game: str, seen: Seen, attempt: int = -1) -> tuple[Message, ...]:
    """The messages that one attempt of a turn replied to."""
    if own := seen.turn["attempts"][attempt].get("prompt"):
        return logged(own)
    turn = seen.turn
    role, phase = turn["role"], turn.get("phase", "")
    return messages(game, role, phase, seen.number, "".join(seen.parts))


def blanks(parts: Sequence[str]) -> int:
    """How many blank characters a transcript begins and ends with, which no prompt shows."""
    begins = ends = 0
    for part in parts:
        begins += len(part) - len(part.lstrip())
        if part.strip():
            break
    for part in reversed(parts):
        ends += len(part) - len(part.rstrip())
        if part.strip():
            return begins + ends
    return begins
