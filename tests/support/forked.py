"""`tesuji` in a process of its own that is a fork of this one, with all it has imported by then.

Streams, signals and the exit code are those of the command as it is typed: it is `entry`, the
console script, that runs.
"""

import contextlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from tesuji.cli.main import entry


class Forked:
    """A command under way; `typed` is all that stands on its standard input, and what it writes is
    in `encoding`, as PYTHONIOENCODING says it to a real one."""

    def __init__(
        self, *words: str, cwd: Path | None = None, typed: str = "", encoding: str = "utf-8"
    ) -> None:
        self._encoding = encoding
        made = (tempfile.TemporaryFile() for _ in range(3))  # noqa: SIM115 - until it has ended
        self._out, self._err, source = made
        source.write(typed.encode())
        source.seek(0)
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._become(words, cwd, (source, self._out, self._err))
        source.close()

    def _become(self, words: tuple[str, ...], cwd: Path | None, files: tuple) -> NoReturn:
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.chdir(cwd or ".")
            for number, file in enumerate(files):
                os.dup2(file.fileno(), number)
            sys.stdin = io.TextIOWrapper(io.FileIO(0), "utf-8")
            sys.stdout = io.TextIOWrapper(io.FileIO(1, "w"), self._encoding)
            sys.stderr = io.TextIOWrapper(io.FileIO(2, "w"), self._encoding)
            if torch := sys.modules.get("torch"):
                # makes its threads anew, before several at once need them: it does not survive that
                torch.set_num_threads(torch.get_num_threads())
            self._do(words)
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:  # in no case go on as a second copy of the tests
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
            with contextlib.suppress(BaseException):
                sys.stderr.flush()
            os._exit(code)

    def _do(self, words: tuple[str, ...]) -> None:
        """What the process is there for."""
        sys.argv = ["tesuji", *words]
        entry()

    @property
    def shown(self) -> tuple[str, str]:
        """What it has written to standard output and standard error so far."""
        return tuple(
            os.pread(f.fileno(), 1 << 24, 0).decode(self._encoding, "replace")
            for f in (self._out, self._err)
        )

    def wait_until(self, happened: Callable[[], object], seconds: float = 120) -> None:
        """Return once that has happened, or the process is over, or so many seconds are."""
        deadline = time.monotonic() + seconds
        while not happened() and time.monotonic() < deadline and not self._over():
            time.sleep(0.02)

    def _over(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def ended(self, seconds: float = 120) -> "subprocess.CompletedProcess[str]":
        """Its exit code and what it has written; killed where it takes longer than that."""
        self.wait_until(self._over, seconds)
        if not self._over():
            os.kill(self.pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        done = subprocess.CompletedProcess("tesuji", code, *self.shown)
        self._out.close()
        self._err.close()
        return done


def tesuji(*words: str, **how: Any) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end."""
    return Forked(*words, **how).ended()
