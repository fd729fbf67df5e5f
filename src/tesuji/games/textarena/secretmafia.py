"""SecretMafia as its transcripts tell it: who one is, what phase it is, who may be named.

The words are those of TextArena 0.7 (`SecretMafia-v0`) and of the logs made with it. "NIGHT phase"
stands in every player's first prompt, so the phase is read from the last message of the game, never
from anywhere in the text.
"""

import re

from tesuji.core.types import Move

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
_GAME = "[GAME]"
_ROLE = re.compile(r"Your role:\s*(\w+)", re.I)
_SEAT = re.compile(r"You are Player\s+(\d+)", re.I)
_ROSTER = re.compile(r"^Players:\s*(.+)$", re.M)
_MESSAGE = re.compile(r"^\[[^\]\n]{1,40}\]", re.M)
_PLAYER = re.compile(r"Player\s+(\d+)", re.I)
_TARGET = re.compile(r"\[(?:player\s*)?(\d+)\]", re.I)
_LISTED = re.compile(r"Valid(?: targets)?:|protect:|investigate:", re.I)
_OUT = "has been eliminated"  # for a second invalid reply, in the middle of a vote
_GONE = re.compile(rf"^\[GAME\] ?Player (\d+) {_OUT}", re.M)


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
    return int(found.group(1)) if found and len(found.group(1)) < 3 else None


def seats_told(text: str) -> int:
    """How many players there are, as far as the text names them; 0 where it names none."""
    roster = _ROSTER.search(text)
    numbers = _PLAYER.findall(roster.group(1) if roster else text)
    return max((int(n) for n in numbers if len(n) < 3), default=-1) + 1


def last_message(text: str) -> str:
    """The last message of the game itself that asks for something, and with it who was eliminated
    since; "" where there is none. Text without any sender, as some scripts cut it, is taken as one
    message."""
    start = text.rfind(_GAME)
    if start < 0:
        return text[-400:]
    while start >= 0:
        if start == 0 or text[start - 1] == "\n":
            following = _MESSAGE.search(text, start + 1)
            end = following.start() if following else len(text)
            message = text[start:end]
            if phase_of(message):
                return message + eliminated(text[end:])
        start = text.rfind(_GAME, 0, start)
    return ""


def eliminated(text: str) -> str:
    """The lines in which the game puts players out, each after a line's end, so that they can be
    put behind a message that lists targets."""
    return "".join(f"\n{line[0]}" for line in _GONE.finditer(text)) if _OUT in text else ""


def phase_of(message: str) -> str:
    """The phase that a message of the game begins, or ""."""
    return next((name for name, pattern in PHASES if pattern.search(message)), "")


def targets(message: str) -> tuple[Move, ...]:
    """The players that may be named, as the message lists them, less those who are out since."""
    told = _LISTED.split(message)
    numbers = dict.fromkeys(map(_number, _TARGET.findall(told[-1]))) if len(told) > 1 else {}
    gone = set(map(_number, _GONE.findall(message))) if _OUT in message else ()
    return tuple(naming(number) for number in numbers if number not in gone)


def named(text: str) -> Move | None:
    """The player that a vote or a night action names, as TextArena reads it: in the first line
    that has a bracket, the last one. `[ 3 ]` and `[P3]` name nobody."""
    for line in text.split("\n"):
        if numbers := _TARGET.findall(line):
            return naming(_number(numbers[-1]))
    return None


def _number(digits: str) -> int:
    return int(digits) if len(digits) < 4 else 999  # nobody sits there


def naming(number: int) -> Move:
    """The vote or night action that names player `number`."""
    return Move(number, f"[{number}]")


def team(role: str) -> str:
    """ "Mafia" or "Village"; "" for an unknown role."""
    return "" if not role else MAFIA if role == MAFIA else "Village"
