"""Keeps a server running for as long as whoever started it lives: `python keeper.py COMMAND...`.

A process of its own, and the leader of a process group, so that the server and all that it has
started are ended in any case: also when Tesuji is killed with -9 and can end nothing itself.
Imports nothing of Tesuji.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys

PATIENCE_S = 10.0  # for a server that was told to end
LOOK_S = 0.5  # between two looks whether everybody is there


def keep(command: list[str]) -> None:
    """Run the command until it ends, this process is told to, or its parent is gone; then nothing
    of its process group is left, this process least of all."""
    parent, told = os.getppid(), []
    signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started this
    server = subprocess.Popen(command, preexec_fn=_end_with_parent)
    while server.poll() is None and os.getppid() == parent and not told:
        _wait(server, LOOK_S)
    server.terminate()
    _wait(server, PATIENCE_S)
    os.killpg(0, signal.SIGKILL)


def _wait(server: "subprocess.Popen[bytes]", seconds: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(seconds)


def _end_with_parent() -> None:
    """Where this process itself is killed, the server is told to end (PR_SET_PDEATHSIG)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


if __name__ == "__main__":
    keep(sys.argv[1:])
