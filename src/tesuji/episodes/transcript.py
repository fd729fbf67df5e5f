"""What a seat had been shown at one of its turns, put together from an episode.

Logs repeat the whole transcript at every turn; an episode stores each part once, the later turns
saying that they continue (`Turn.continues`).
"""

from collections.abc import Sequence
from itertools import starmap

from tesuji.core.types import Episode, Turn


def seen(episode: Episode, place: int) -> str:
    """All that the seat of turn `place` had been shown when it took that turn."""
    turns = [turn for turn in episode.turns[: place + 1] if turn.seat == episode.turns[place].seat]
    first = max(index for index, turn in enumerate(turns) if index == 0 or not turn.continues)
    return "".join(turn.observation for turn in turns[first:])


def new_part(observation: str, before: str | None) -> tuple[str, bool]:
    """(what is new in a seat's observation, whether it continues the one before)."""
    if before is None or not observation.startswith(before):
        return observation, False
    return observation[len(before) :], True


def shortened(observations: Sequence[str]) -> list[tuple[str, bool]]:
    """One seat's whole observations as (what is new, whether it continues the one before)."""
    return list(starmap(new_part, zip(observations, [None, *observations], strict=False)))


def turns_of(episode: Episode, seat: int) -> list[tuple[int, Turn]]:
    """(place in the episode, turn) of every turn of one seat, in order."""
    return [(place, turn) for place, turn in enumerate(episode.turns) if turn.seat == seat]
