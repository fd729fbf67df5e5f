"""Commands run as on a real terminal: a pseudo-terminal of a given size."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path

_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\]8;[^\x1b]*\x1b\\")


def on_terminal(
    arguments: Sequence[str], *, columns: int = 80, typed: str = "", cwd: Path | None = None, **env
) -> tuple[int, str]:
    """(exit code, everything written) of `python ARGUMENTS`; `typed` ends with Ctrl-D."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    plain = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    with subprocess.Popen(
        [sys.executable, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd,
        env={**plain, "TERM": "xterm-256color", **env}, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        os.write(ours, typed.encode() + b"\x04")
        written = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    return process.returncode, written.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # what Linux says when the other side has closed
        return b""


def lines_of(written: str) -> list[str]:
    """Whatever stood on one line at some moment, without colours."""
    return [line for line in re.split(r"[\r\n]+", _CODES.sub("", written)) if line]
