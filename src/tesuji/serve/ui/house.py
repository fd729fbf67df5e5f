"""What all pages share: the folder of runs, who may ask, and what has to end with the server."""

import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tesuji.core.errors import DataError, did_you_mean


class NotHere(DataError):
    """What was asked for by its address is not there."""


@dataclass
class House:
    """One server's own. `runs` holds the run folders, new recipes are written into `recipes`; with
    a `token` all requests need it; `csrf` is what forms of this server's own pages carry. Once
    `leaving` is set the server waits for its answers to end: those that go on for long look at it.
    """

    runs: Path
    host: str = "127.0.0.1"
    token: str | None = None
    recipes: Path = Path()
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    leaving: threading.Event = field(default_factory=threading.Event)
    _closing: list[Callable[[], None]] = field(default_factory=list)

    def run(self, name: str) -> Path:
        """The run folder of that name. Raises NotHere where there is none right in `runs`."""
        folder = self.runs / name
        plain = name not in ("", ".", "..") and not set(name) & set("/\\\0")
        if plain and (folder / "manifest.json").is_file() and _inside(folder, self.runs):
            return folder
        known = [path.parent.name for path in self.runs.glob("*/manifest.json")]
        raise NotHere(f"no run {name!r} here", hint=did_you_mean(name, known).rstrip("; "))

    def file(self, run: str, path: str) -> Path:
        """A file of a run, by its path below the run's folder. Raises NotHere where it is not
        there, or not in there."""
        folder = self.run(run)
        file = folder / path
        with suppress(OSError):  # a name that is too long
            if "\0" not in path and _inside(file, folder) and file.is_file():
                return file
        raise NotHere("no such file in this run", where=path)

    def at_end(self, close: Callable[[], None]) -> None:
        """Have this called when the server stops."""
        self._closing.append(close)

    def close(self) -> None:
        """End what is still going on."""
        while self._closing:
            self._closing.pop()()


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
