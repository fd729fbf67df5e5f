"""SecretMafia as its transcripts tell it: who one is, what phase it is, who may be named.

The words are those of TextArena 0.7 (`SecretMafia-v0`) and of the logs made with it. "NIGHT phase"
stands in every player's first prompt, so the phase is read from the last message of the game, never
from anywhere in the text.
"""

import re
from collections.abc import Sequence

from tesuji.core.types import Attempt, Found, Move, Turn
from tesuji.episodes.transcript import shortened

GAME = "SecretMafia-v0"
MAFIA = "Mafia"
ROLES = {"villager": "Villager", "mafia": MAFIA, "doctor": "Doctor", "detective": "Detective"}
PHASES = (
    ("night_mafia", re.compile(r"Night has fallen|agree on a victim", re.I)),
    ("night_doctor", re.compile(r"to protect:|choose one player to protect", re.I)),
    ("night_detective", re.compile(r"to investigate:|choose one player to investigate", re.I)),
    ("voting", re.compile(r"Voting phase", re.I)),
    ("discussion", re.compile(r"Day breaks|Discuss for", re.I)),
)
NAMED = ("night_mafia", "night_doctor", "night_detective", "voting")  # a player is to be named
_ROLE = re.compile(r"Your role:\s*(\w+)", re.I)
_SEAT = re.compile(r"You are Player\s+(\d+)", re.I)
_ROSTER = re.compile(r"^Players:\s*(.+)$", re.M)
_MESSAGE = re.compile(r"^\[([^\]\n]{1,40})\]", re.M)
_PLAYER = re.compile(r"Player\s+(\d+)", re.I)
_TARGET = re.compile(r"\[\s*(?:player\s*)?(\d{1,3})\s*\]", re.I)


def role_named(value: object) -> str:
    """The role a log names, as the game writes it: `Role.MAFIA`, `mafia`, `Mafia` → "Mafia"; "" for
    anything else."""
    text = value if isinstance(value, str) else ""
    return ROLES.get(text.rpartition(".")[2].strip().lower(), "")


def role_told(text: str) -> str:
    """The role that the game told a player at the beginning, or ""."""
    found = _ROLE.search(text)
    return role_named(found.group(1)) if found else ""


def seat_told(text: str) -> int | None:
    """The number the game gave the player, or None."""
    found = _SEAT.search(text)
    return int(found.group(1)) if found else None


def seats_told(text: str) -> int:
    """How many players there are, as far as the text names them; 0 where it names none."""
    roster = _ROSTER.search(text)
    named = [int(n) for n in _PLAYER.findall(roster.group(1) if roster else text)]
    return max((n for n in named if n < 100), default=-1) + 1


def last_message(text: str) -> str:
    """The last message of the game itself that asks for something; "" where there is none."""
    starts = [m.start() for m in _MESSAGE.finditer(text) if m.group(1).upper().startswith("GAME")]
    ends = [m.start() for m in _MESSAGE.finditer(text)]
    for start in reversed(starts):
        end = next((place for place in ends if place > start), len(text))
        if any(pattern.search(text[start:end]) for _, pattern in PHASES):
            return text[start:end]
    return "" if starts else text[-400:]


def phase_of(message: str) -> str:
    """The phase that a message of the game begins, or ""."""
    return next((name for name, pattern in PHASES if pattern.search(message)), "")


def targets(message: str) -> tuple[Move, ...]:
    """The players that may be named, as the message lists them."""
    told = re.split(r"Valid(?: targets)?:|protect:|investigate:", message, flags=re.I)
    numbers = _TARGET.findall(told[-1]) if len(told) > 1 else []
    return tuple(Move(int(n), f"[{int(n)}]") for n in dict.fromkeys(numbers))


def read_action(text: str, phase: str, legal: Sequence[Move]) -> Attempt:
    """What was said: a speech as it is; a vote or night action by the last bracket in it."""
    if not text.strip():
        return Attempt(reply=text, problem="the reply is empty")
    if phase not in NAMED:
        return Attempt(reply=text, found=Found.EXACT, move=Move(-1, text.strip()))
    named = _TARGET.findall(text)
    if not named:
        return Attempt(reply=text, problem="no player is named in brackets")
    move = Move(int(named[-1]), f"[{int(named[-1])}]")
    if legal and move not in legal:
        return Attempt(reply=text, problem=f"player {move.id} cannot be named now")
    exact = text.strip() == move.text
    return Attempt(reply=text, found=Found.EXACT if exact else Found.SOFT, move=move)


def turns(seat: int, role: str, seen: Sequence[str], said: Sequence[str]) -> tuple[Turn, ...]:
    """One player's turns from what it had been shown and what it replied, each a list in order."""
    found = []
    parts = shortened(seen)
    for whole, (part, continues), reply in zip(seen, parts, said, strict=True):
        message = last_message(whole)
        phase = phase_of(message)
        legal = targets(message) if phase in NAMED else ()
        attempt = read_action(reply, phase, legal)
        found.append(
            Turn(
                seat=seat,
                role=role,
                observation=part,
                attempts=(attempt,),
                played=attempt.move,
                phase=phase,
                continues=continues,
                legal_moves=legal,
            )
        )
    return tuple(found)


def team(role: str) -> str:
    """ "Mafia" or "Village"; "" for an unknown role."""
    return "" if not role else MAFIA if role == MAFIA else "Village"
