"""Who was shown each entry of a TextArena log, which itself does not tell.

`state.logs` holds what was said to one player alone (roles, the detective's findings, the mafia's
votes) beside what was said to all, and a message to three players three times. Of SecretMafia it is
known what goes to whom. Of other games only the first messages, one prompt a player, and what is
said about an invalid move are known to be private; the rest is taken as said to all.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from tesuji.games.textarena.secretmafia import (
    MAFIA,
    eliminated,
    phase_of,
    role_told,
    seat_told,
)

Entry = tuple[int, str]  # who spoke, -1 the game; what was said
Seats = frozenset[int] | None  # None: all
_INVALID = re.compile(r"^Player (\d{1,2}) attempted an invalid move")
_FINDING = re.compile(r"^Player \d{1,2} IS(?: NOT)? ?a Mafia member")
_WELCOME = "Welcome to Secret Mafia"


def roles_in(log: Sequence[Entry]) -> dict[int, str]:
    """seat → role, as SecretMafia told each player at the beginning."""
    prompts = [words for who, words in log if who < 0 and words.startswith(_WELCOME)]
    roles = {seat_told(words): role_told(words) for words in prompts}
    return {seat: role for seat, role in roles.items() if seat is not None and role}


def heard(log: Sequence[Entry], roles: Mapping[int, str]) -> Iterator[tuple[int, str, Seats, str]]:
    """(who, words, who heard it, the game's last call) of each thing said in a SecretMafia game.

    What went to the mafia is logged once for each of them, and given once here.
    """
    mafia = frozenset(seat for seat, role in roles.items() if role == MAFIA)
    call, before = "", (-2, "")
    for who, words in log:
        if who < 0 and phase_of(words):
            call = words
        elif who < 0:
            call += eliminated(f"[GAME] {words}")
        secret = phase_of(call) == "night_mafia" and (who >= 0 or words == call)
        if not (secret and (who, words) == before):
            yield who, words, _audience(who, words, phase_of(call), mafia, roles), call
        before = (who, words)


def _audience(
    who: int, words: str, phase: str, mafia: frozenset[int], roles: Mapping[int, str]
) -> Seats:
    if who >= 0:
        private = {"night_mafia": mafia | {who}, "night_doctor": frozenset({who})}
        return private.get(phase)
    if words.startswith(_WELCOME):
        return frozenset({seat_told(words)} - {None})  # type: ignore[arg-type]
    if invalid := _INVALID.match(words):
        return frozenset({int(invalid[1])})
    called = phase_of(words)
    if called == "night_mafia":
        return mafia
    if called == "night_doctor":
        return _with_role(roles, "Doctor")
    if called == "night_detective" or _FINDING.match(words):
        return _with_role(roles, "Detective")
    return None


def _with_role(roles: Mapping[int, str], name: str) -> frozenset[int]:
    return frozenset(seat for seat, role in roles.items() if role == name)


def heard_elsewhere(log: Sequence[Entry], seats: int) -> Iterator[tuple[int, str, Seats, str]]:
    """The same for any other game of that many seats."""
    prompts = seats if len(log) >= seats and all(who < 0 for who, _ in log[:seats]) else 0
    for place, (who, words) in enumerate(log):
        to: Seats = frozenset({place}) if place < prompts else None
        if who < 0 and (invalid := _INVALID.match(words)):
            to = frozenset({int(invalid[1])})
        yield who, words, to, ""
