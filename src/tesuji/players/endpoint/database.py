"""A small SQLite file that a kill leaves whole, and that the processes of a machine may share.

Written ahead (WAL), so that no statement waits for the disk: 200 answers of 0.2 s, 64 at once, were
here in 8 s and not in 26. A machine that loses power may forget the last of them.
"""

import sqlite3
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tesuji.core.files import unwritable

PATIENCE_S = 60.0  # waiting for another process that is writing


class Database:
    """One table, made where it is not there; `path` None: in memory. Raises DataError for a file
    that cannot be opened, read or written."""

    def __init__(self, path: Path | None, table: str) -> None:
        self.path = path
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(
                path or ":memory:",
                isolation_level=None,
                timeout=PATIENCE_S,
                check_same_thread=False,  # whoever asks does so from one thread at a time
            )
        except (OSError, sqlite3.Error) as error:
            raise self._unwritable(error) from error
        self._close = weakref.finalize(self, self._base.close)  # at the end of the program, too
        self.do("PRAGMA journal_mode = WAL")
        self.do("PRAGMA synchronous = NORMAL")
        self.do(f"CREATE TABLE IF NOT EXISTS {table}")

    def do(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """The rows that a statement gives; what it writes is on the disk then."""
        try:
            return self._base.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        """Let the file go."""
        self._close()

    def _unwritable(self, error: Exception) -> Exception:
        return unwritable(self.path or Path(":memory:"), OSError(5, str(error)))
