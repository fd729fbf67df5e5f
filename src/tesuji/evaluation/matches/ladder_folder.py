"""A run's ladder on disk: `ladder/ladder.json`, and the matches behind it beside that."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tesuji.core.files import atomic_path, read_json, write_json
from tesuji.core.json_dataclass import Codec
from tesuji.core.types import Episode
from tesuji.episodes.store import EpisodeWriter
from tesuji.evaluation.matches.against import EVALUATED
from tesuji.evaluation.matches.ladder import Ladder, Rung
from tesuji.games.base import Game

FOLDER, LADDER, EPISODES = "ladder", "ladder.json", "episodes.jsonl"
FORMAT = 1
Keep = Callable[[str, str, Episode], None]


@dataclass(frozen=True, slots=True)
class Meeting:
    """Two entrants: what the first of them made of their matches."""

    one: str
    other: str
    wins: int
    draws: int
    losses: int


@dataclass(frozen=True, slots=True)
class SavedLadder:
    """A ladder as it was played: `episodes` matches a pair, `made` in seconds since 1970."""

    game: str
    options: dict[str, Any]
    episodes: int
    seed: int
    temperature: float
    made: float
    rungs: tuple[Rung, ...]
    meetings: tuple[Meeting, ...]
    format: int = FORMAT


_codec = Codec(SavedLadder, "a ladder", FORMAT)


@contextmanager
def keeping_matches(run: Path) -> Iterator[Keep]:
    """Keep the matches of a ladder that is being played, each under its entrants' names. Once all
    are in they take the place of those before; not if the block ends with an error."""
    folder = run / FOLDER
    try:
        with atomic_path(folder / EPISODES) as aside, EpisodeWriter(aside) as writer:

            def keep(one: str, other: str, episode: Episode) -> None:
                names = tuple(one if name == EVALUATED else other for name in episode.players)
                writer.write(replace(episode, players=names))

            yield keep
    finally:
        with suppress(OSError):
            folder.rmdir()  # only where there is nothing in it


def save_ladder(
    run: Path, ladder: Ladder, game: Game, *, episodes: int, seed: int, temperature: float
) -> None:
    """Write the ladder into its run. Raises DataError where that cannot be."""
    saved = SavedLadder(
        game.name,
        dict(game.options),
        episodes,
        seed,
        temperature,
        round(time.time()),
        ladder.rungs,
        tuple(Meeting(*pair, *counts) for pair, counts in ladder.pairs.items()),
    )
    write_json(run / FOLDER / LADDER, _codec.dump(saved))


def load_ladder(run: Path) -> SavedLadder:
    """The run's ladder. Raises DataError where there is none, or none that can be read."""
    path = run / FOLDER / LADDER
    return _codec.load(read_json(path), str(path))
