"""All tables of one server: so many at most, those longest untouched are cleared away first."""

import secrets
import threading
import time
from pathlib import Path

from tesuji.core.errors import DataError
from tesuji.core.types import Episode
from tesuji.episodes.store import EpisodeWriter
from tesuji.serve.ui.house import NotHere
from tesuji.serve.ui.play.setting import Setting
from tesuji.serve.ui.play.table import LEAVING, Table

MOST = 200
IDLE = 3600.0  # seconds without a look at it after which a table is cleared away
YOUNG = 60.0  # seconds in which it is not, however many want one


class Tables:
    """Tables by their id, and the file that finished matches are added to."""

    def __init__(
        self, file: Path, *, most: int = MOST, idle: float = IDLE, young: float = YOUNG
    ) -> None:
        self.file, self.most, self.idle, self.young = file, most, idle, young
        self._tables: dict[str, Table] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._writer: EpisodeWriter | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._tables)

    def open(self, setting: Setting) -> str:
        """Set up a table and return its id. Raises DataError where there is no place for one."""
        with self._lock:
            gone = self._cleared()
            if self._closed or len(self._tables) >= self.most:
                raise DataError(
                    f"all {self.most} tables are taken", hint="leave one, or try in a minute"
                )
            name = secrets.token_urlsafe(9)
            self._tables[name] = Table(setting, self.save)
        _close(gone)
        return name

    def get(self, name: str) -> Table:
        """The table, looked at now. Raises NotHere where it is gone."""
        with self._lock:
            table = self._tables.get(name)
            gone = self._cleared(but=name)
        _close(gone)
        if table is None:
            raise NotHere("there is no such table any more", hint="begin a new match")
        table.used = time.monotonic()
        return table

    def under_way(self) -> list[tuple[str, Table]]:
        """All tables, the one last looked at first."""
        with self._lock:
            return sorted(self._tables.items(), key=lambda item: -item[1].used)

    def leave(self, name: str) -> None:
        """Clear it away; a match that was not finished is not kept."""
        with self._lock:
            table = self._tables.pop(name, None)
        _close([table] if table else [])

    def save(self, episode: Episode) -> None:
        """Add a finished match to the file, whole."""
        with self._writing:
            self._writer = self._writer or EpisodeWriter(self.file)
            self._writer.write(episode)

    def close(self) -> None:
        """End all matches."""
        with self._lock:
            self._closed = True
            tables, self._tables = list(self._tables.values()), {}
        _close(tables)
        with self._writing:
            if self._writer is not None:
                self._writer.close()

    def _cleared(self, but: str = "") -> list[Table]:
        """Take away those that nobody has looked at for long, and where all places are taken the
        one longest untouched."""
        now = time.monotonic()
        ages = {n: now - table.used for n, table in self._tables.items() if n != but}
        gone = [name for name, age in ages.items() if age > self.idle]
        oldest = max(ages, key=lambda name: ages[name], default=None)
        full = len(self._tables) - len(gone) >= self.most
        if full and oldest is not None and oldest not in gone and ages[oldest] > self.young:
            gone.append(oldest)
        return [self._tables.pop(name) for name in gone]


def _close(tables: list[Table]) -> None:
    """All are told before any is waited for, and all together for so long."""
    for table in tables:
        table.leave()
    until = time.monotonic() + LEAVING
    for table in tables:
        table.close(max(0.0, until - time.monotonic()))
