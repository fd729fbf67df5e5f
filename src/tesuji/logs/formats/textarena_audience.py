"""Who was shown each entry of a TextArena log, which itself does not tell.

`state.logs` holds what was said to one player alone (roles, the detective's findings, the mafia's
votes) beside what was said to all, and a message to three players three times. Of SecretMafia it is
known what goes to whom. Of other games only the first messages, one prompt a player, and what is
said about an invalid move are known to be private; the rest is taken as said to all.
"""

from collections.abc import Iterator, Mapping, Sequence

from tesuji.games.textarena.secretmafia import (
    Seats,
    eliminated,
    hearers,
    phase_of,
    refused_in,
    roles_of_welcomes,
)

Entry = tuple[int, str]  # who spoke, -1 the game; what was said


def roles_in(log: Sequence[Entry]) -> dict[int, str]:
    """seat → role, as SecretMafia told each player at the beginning."""
    return roles_of_welcomes([words for who, words in log if who < 0])


def heard(log: Sequence[Entry], roles: Mapping[int, str]) -> Iterator[tuple[int, str, Seats, str]]:
    """(who, words, who heard it, the game's last call) of each thing said in a SecretMafia game.

    What went to the mafia is logged once for each of them, and given once here.
    """
    call, before = "", (-2, "")
    for who, words in log:
        if who < 0 and phase_of(words):
            call = words
        elif who < 0:
            call += eliminated(f"[GAME] {words}")
        secret = phase_of(call) == "night_mafia" and (who >= 0 or words == call)
        if not (secret and (who, words) == before):
            yield who, words, hearers(who, words, phase_of(call), roles), call
        before = (who, words)


def heard_elsewhere(log: Sequence[Entry], seats: int) -> Iterator[tuple[int, str, Seats, str]]:
    """The same for any other game of that many seats."""
    prompts = seats if len(log) >= seats and all(who < 0 for who, _ in log[:seats]) else 0
    for place, (who, words) in enumerate(log):
        to: Seats = frozenset({place}) if place < prompts else None
        if who < 0 and (refused := refused_in(words)) is not None:
            to = frozenset({refused})
        yield who, words, to, ""
