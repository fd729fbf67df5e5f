"""Episodes as JSON lines: one compact row an episode, nothing lost on the way back.

A field at its default is left out of the row, `format` never.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tesuji.core.files import atomic_path, read_jsonl, unwritable
from tesuji.core.json_dataclass import Codec
from tesuji.core.types import EPISODE_FORMAT, Episode

log = logging.getLogger(__name__)

_codec = Codec(Episode, "an episode", EPISODE_FORMAT)


def episode_to_row(episode: Episode) -> dict[str, Any]:
    """The episode as plain JSON values, `format` first."""
    return _codec.dump(episode, compact=True)


def episode_from_row(row: Any, where: str = "") -> Episode:
    """The episode a row holds.

    Raises DataError, naming the field, when something is missing, unknown or of the wrong type,
    or when the row was written in a newer format.
    """
    return _codec.load(row, where)


def _line(episode: Episode) -> bytes:
    row = episode_to_row(episode)
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def write_episodes(path: Path, episodes: Iterable[Episode]) -> int:
    """Write all episodes, atomically; return how many."""
    count = 0
    with atomic_path(path) as aside, aside.open("wb") as file:
        for episode in episodes:
            file.write(_line(episode))
            count += 1
    return count


def read_episodes(path: Path) -> Iterator[Episode]:
    """Yield the episodes of a file; DataError names the file and line of the first bad one."""
    for number, row in read_jsonl(path):
        yield episode_from_row(row, where=f"{path}:{number}")


class EpisodeWriter:
    """Appends episodes to a file as they come, one whole line each, flushed.

    A last line torn by a crash is cut off when the file is opened again: `dropped` holds it, and
    a warning is logged. `count` is the number of episodes now in the file.
    Raises DataError when the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.dropped = b""
        self.count = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
            self._cut_torn_line()
        except OSError as error:
            raise unwritable(path, error) from error

    def _cut_torn_line(self) -> None:
        self._file.seek(0)
        whole = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                self.dropped = line
                break
            whole += len(line)
            self.count += 1
        self._file.truncate(whole)
        if self.dropped:
            log.warning("%s: dropped a torn last line (%d bytes)", self.path, len(self.dropped))

    def write(self, episode: Episode) -> None:
        """Append one episode. Raises DataError when the disk is full."""
        try:
            self._file.write(_line(episode))
            self._file.flush()
        except OSError as error:
            raise unwritable(self.path, error) from error
        self.count += 1

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._file.close()

    def __enter__(self) -> "EpisodeWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
