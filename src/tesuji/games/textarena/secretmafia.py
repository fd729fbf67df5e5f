"""The text of SecretMafia: roles, phases, who may be named, who hears what, and replies as read.

Players and logs both read it with this module. The words are those of TextArena 0.7
(`SecretMafia-v0`) and of the logs made with it. "NIGHT phase" stands in every player's first
prompt, so the phase is read from the last message of the game, never from anywhere in the text.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from tesuji.core.types import Attempt, Found, Move

GAME = "SecretMafia-v0"
MAFIA, VILLAGE = "Mafia", "Village"
ROLES = {"villager": "Villager", "mafia": MAFIA, "doctor": "Doctor", "detective": "Detective"}
LIBRARY_PHASES = {  # what TextArena calls them
    "Night-Mafia": "night_mafia",
    "Night-Doctor": "night_doctor",
    "Night-Detective": "night_detective",
    "Day-Discussion": "discussion",
    "Day-Voting": "voting",
}
PHASES = (
    ("night_mafia", re.compile(r"Night has fallen|agree on a victim", re.I)),
    ("night_doctor", re.compile(r"to protect:|choose one player to protect", re.I)),
    ("night_detective", re.compile(r"to investigate:|choose one player to investigate", re.I)),
    ("voting", re.compile(r"Voting phase", re.I)),
    ("discussion", re.compile(r"Day breaks|Discuss for", re.I)),
)
NAMED = ("night_mafia", "night_doctor", "night_detective", "voting")  # a player is to be named
VOTING = "voting"
DAY = ("discussion", VOTING)
LONGEST_BARE = 60  # characters of a reply that is nothing but brackets
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
_SENDER = re.compile(r"^\[(GAME|Player \d{1,3})\] ?", re.M)
_DEPARTURE = re.compile(rf"Player (\d{{1,3}}) (was eliminated by vote|was killed|{_OUT})")
_VOTED = re.compile(
    r"^\[GAME\]\s*(?:Player (\d+) (?:was|has been) (?:eliminated by vote|voted out)"
    r"|(No consensus))",
    re.M | re.I,
)
_FINDING = re.compile(r"Player (\d{1,3}) IS( NOT)? ?a Mafia member")
_BARE = re.compile(r"(?:\[(?:player)?\d+\][.!,]?)+|(?:player)?\d+[.!]?", re.I)
_MATES = re.compile(r"Your teammates are: (.*)")
_INVALID = re.compile(r"^Player (\d{1,2}) attempted an invalid move")
_WELCOME = "Welcome to Secret Mafia"

Seats = frozenset[int] | None  # None: all


def is_secretmafia(game: str) -> bool:
    """Whether a game of this name is SecretMafia, in whatever version or view."""
    return "SecretMafia" in game


def role_named(value: object) -> str:
    """The role a log names, as the game writes it: `Role.MAFIA`, `mafia`, `Mafia` → "Mafia"; "" for
    anything else."""
    text = value if isinstance(value, str) else ""
    return ROLES.get(text.rpartition(".")[2].strip().lower(), "")


def role_in(text: str) -> str:
    """The role that the game told a player at the beginning, or ""."""
    match = _ROLE.search(text)
    return role_named(match.group(1)) if match else ""


def seat_in(text: str) -> int | None:
    """The number the game gave the player, or None."""
    match = _SEAT.search(text)
    return int(match.group(1)) if match and len(match.group(1)) < 3 else None


def seats_in(text: str) -> int:
    """How many players there are, as far as the text names them; 0 where it names none."""
    roster = _ROSTER.search(text)
    numbers = _PLAYER.findall(roster.group(1) if roster else text)
    return max((int(n) for n in numbers if len(n) < 3), default=-1) + 1


def mates_in(text: str) -> set[int]:
    """The other players of the Mafia, as the game told one of them at the beginning."""
    match = _MATES.search(text)
    return set(map(_number, re.findall(r"\d+", match.group(1)))) if match else set()


def messages(text: str) -> Iterator[tuple[int | None, str]]:
    """(who spoke, None for the game; what was said) of each message of a transcript."""
    senders = list(_SENDER.finditer(text))
    for place, sender in enumerate(senders):
        end = senders[place + 1].start() if place + 1 < len(senders) else len(text)
        name = sender.group(1)
        who = None if name == "GAME" else int(name.removeprefix("Player "))
        yield who, text[sender.end() : end].strip()


def departure(message: str) -> tuple[int, bool] | None:
    """(who is out, whether killed by the Mafia) where a message of the game begins with that."""
    match = _DEPARTURE.match(message)
    return (int(match.group(1)), match.group(2) == "was killed") if match else None


def voted_out(observation: str) -> int | None:
    """The player whom the last vote told of removed, -1 for nobody, None if none is told."""
    results = list(_VOTED.finditer(observation))
    if not results:
        return None
    return int(results[-1].group(1)) if results[-1].group(1) else -1


def findings(text: str) -> dict[int, bool]:
    """Investigations that the text tells of: player → whether of the Mafia."""
    return {int(player): not innocent for player, innocent in _FINDING.findall(text)}


def finding_in(message: str) -> int | None:
    """The player of whom a message of the game tells what an investigation came to, or None."""
    match = _FINDING.match(message)
    return int(match.group(1)) if match else None


def finding(player: int, guilty: bool) -> str:
    """An investigation in the game's words."""
    return f"Player {player} IS{'' if guilty else ' NOT'} a Mafia member"


def day_broke(text: str) -> bool:
    """Whether the game called for a discussion or a vote in this part of a transcript."""
    return any(who is None and phase_of(words) in DAY for who, words in messages(text))


def bare_bracket(reply: str) -> bool:
    """Whether a reply is nothing but a number or a player's name, with or without brackets: a vote,
    but no speech."""
    words = "".join(reply.split())
    return len(words) <= LONGEST_BARE and _BARE.fullmatch(words) is not None


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
    parts = _LISTED.split(message)
    numbers = dict.fromkeys(map(_number, _TARGET.findall(parts[-1]))) if len(parts) > 1 else {}
    gone = set(map(_number, _GONE.findall(message))) if _OUT in message else ()
    return tuple(naming(number) for number in numbers if number not in gone)


def named(text: str) -> Move | None:
    """The player that a vote or a night action names, as TextArena reads it: in the first line
    that has a bracket, the last one. `[ 3 ]` and `[P3]` name nobody."""
    for line in text.split("\n"):
        if numbers := _TARGET.findall(line):
            return naming(_number(numbers[-1]))
    return None


def bracketed(text: str) -> str:
    """A reply as TextArena's `ActionFormattingWrapper` hands it on: in brackets, unless it has any.
    Not every version puts that wrapper around SecretMafia; logs show that some did."""
    return text if "[" in text or "]" in text else f"[{text.strip()}]"


def _number(digits: str) -> int:
    return int(digits) if len(digits) < 4 else 999  # nobody sits there


def naming(number: int) -> Move:
    """The vote or night action that names player `number`."""
    return Move(number, f"[{number}]")


def team(role: str) -> str:
    """ "Mafia" or "Village"; "" for an unknown role."""
    return "" if not role else MAFIA if role == MAFIA else VILLAGE


def read_action(text: str, phase: str, legal: Sequence[Move], *, wrapped: bool = False) -> Attempt:
    """A reply as TextArena reads it: a speech as it is; a vote or night action by the player it
    names, if that one may be named. `wrapped`: as behind the wrapper that adds brackets."""
    if not text.strip():
        return Attempt(reply=text, problem="the reply is empty")
    if phase not in NAMED:
        return Attempt(reply=text, found=Found.EXACT, move=Move(-1, text.strip()))
    if (move := named(bracketed(text) if wrapped else text)) is None:
        return Attempt(reply=text, problem="no player is named in brackets")
    if legal and move not in legal:
        return Attempt(reply=text, problem=f"player {move.id} cannot be named now")
    exact = text.strip() == move.text
    return Attempt(reply=text, found=Found.EXACT if exact else Found.SOFT, move=move)


def roles_of_welcomes(messages: Sequence[str]) -> dict[int, str]:
    """seat → role, from the messages in which the game welcomes each player."""
    roles = {seat_in(text): role_in(text) for text in messages if text.startswith(_WELCOME)}
    return {seat: role for seat, role in roles.items() if seat is not None and role}


def hearers(who: int, text: str, phase: str, roles: Mapping[int, str]) -> Seats:
    """The seats that hear what `who` says (-1: the game) in this phase."""
    mafia = _with_role(roles, MAFIA)
    if who >= 0:
        private = {"night_mafia": mafia | {who}, "night_doctor": frozenset({who})}
        return private.get(phase)
    if text.startswith(_WELCOME):
        return frozenset({seat_in(text)} - {None})  # type: ignore[arg-type]
    if (refused := refused_in(text)) is not None:
        return frozenset({refused})
    called = phase_of(text)
    if called == "night_mafia":
        return mafia
    if called == "night_doctor":
        return _with_role(roles, "Doctor")
    if called == "night_detective" or _FINDING.match(text):
        return _with_role(roles, "Detective")
    return None


def refused_in(message: str) -> int | None:
    """Who is told, alone, that its move was invalid; any game of TextArena says it so."""
    match = _INVALID.match(message)
    return int(match.group(1)) if match else None


def put_out(message: str) -> int | None:
    """Whom a message of the game puts out for a second invalid move, or None."""
    match = _DEPARTURE.match(message)
    return int(match.group(1)) if match and match.group(2) == _OUT else None


def _with_role(roles: Mapping[int, str], name: str) -> frozenset[int]:
    return frozenset(seat for seat, role in roles.items() if role == name)
