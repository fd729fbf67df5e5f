"""The messages that a turn of a log becomes.

A log that says what was asked (chats, poker decisions, models of ours) is taken at its word. Of
other turns, what the seat had been shown is put into a system message and a user message
(`games/textarena/log_prompt.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tesuji.core.types import Message
from tesuji.games.textarena.log_prompt import messages


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
