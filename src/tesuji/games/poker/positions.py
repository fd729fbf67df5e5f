"""The names of the seats: who sits where, seen from the dealer button.

pokerkit numbers the seats from the one after the button, so the button is the last; with two
players the button is seat 1 and posts the small blind.
"""

from collections.abc import Sequence

NO_NAMES = "P"  # games that open by the cards shown have no positions: P1, P2, ...


def position_names(players: int) -> tuple[str, ...]:
    """The position of every seat: ("SB", "BB", "UTG", "HJ", "CO", "BTN") for six players.

    >>> position_names(2)
    ('BB', 'BTN')
    """
    if players == 2:
        return ("BB", "BTN")
    return ("SB", "BB", *_between(players - 3), "BTN")


def _between(seats: int) -> tuple[str, ...]:
    """The seats after the big blind and before the button, named from both ends."""
    late = ("LJ", "HJ", "CO")[-seats:] if 0 < seats <= 2 else ("LJ", "HJ", "CO")
    if seats <= 2:
        return late if seats else ()
    if seats == 3:
        return ("UTG", "HJ", "CO")
    early = tuple("UTG" if index == 0 else f"UTG+{index}" for index in range(seats - 3))
    return early + late


def plain_names(players: int) -> tuple[str, ...]:
    """P1, P2, ... for games without a button."""
    return tuple(f"{NO_NAMES}{seat + 1}" for seat in range(players))


def one_of(names: Sequence[str]) -> str:
    """The names as a list in words: "SB, BB and BTN"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
