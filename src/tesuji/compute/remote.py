"""The other side of a job: `python -m tesuji.compute.remote FOLDER` runs the package's recipe with
`tesuji run`, says every half minute that it lives, and stops it in time.

In FOLDER stands the package; beside it this writes

    log.txt          what `tesuji run` said, over all attempts
    heartbeat.json   that it lives, and since when
    exit.json        how it ended, written last

and stops the run, with its checkpoint, when a file `stop` appears there. It needs nothing but
Tesuji itself, so it is the same on every machine.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from tesuji.core.files import read_json, write_json
from tesuji.core.redact import redact

RECIPE, ORDER = "recipe.yaml", "remote.json"
RUNS = "runs"  # in a package: where run folders are made
LOG, HEARTBEAT, EXIT, STOP = "log.txt", "heartbeat.json", "exit.json", "stop"
INTERRUPTED = 130
BEATS = 20.0  # seconds from one heartbeat to the next
LOOKS = 0.5  # seconds between looks at whether it is time to stop
PATIENCE = 600.0  # seconds that a stopped run has for its checkpoint
IN_WORDS = {
    "timeout": "the time it was given is over",
    "cost": "it has cost what it may",
    "asked": "it was told to stop",
}
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


@dataclass(frozen=True, slots=True)
class Order:
    """What the other side has to do; no secret stands in it."""

    job: str
    run: str
    """The run folder's name."""
    runs: str = RUNS
    """Where run folders are made; relative to the package."""
    arguments: list[str] = field(default_factory=list)
    """More for `tesuji run`."""
    links: dict[str, str] = field(default_factory=dict)
    """Links to be made over there: path → where it leads."""
    readers: int = 0
    """Containers that read logs for the run, at most, on a machine that has such."""
    most_seconds: float = 86_400
    """Seconds, from the first start on, after which the run is stopped with a checkpoint."""
    why: str = "timeout"
    """What `most_seconds` comes from: `timeout` or `cost`."""


def write_order(package: Path, order: Order) -> None:
    """Put it where `main` finds it."""
    write_json(package / ORDER, asdict(order))


def run_order(folder: Path, beat: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Run what FOLDER orders, or go on with it; what exit.json says. `beat` is called with every
    heartbeat and at the end: to commit a volume, say. An order that has ended is not run again."""
    if (folder / EXIT).exists():
        return dict(read_json(folder / EXIT))
    order = Order(**read_json(folder / ORDER))
    began = _first_start(folder)
    _make_links(order.links)
    stop = _Stop(order.why)
    with (folder / LOG).open("ab") as log, _passing_signals(stop):
        child = _start(folder, order, log)
        stop.begin(child)
        _wait(child, began + order.most_seconds, folder, beat, stop)
    ended = _ending(child.returncode, stop.why)
    write_json(folder / EXIT, {**ended, "started": began, "ended": time.time()})
    beat()
    return dict(read_json(folder / EXIT))


def _make_links(links: dict[str, str]) -> None:
    for path, leads in links.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if not Path(path).exists() or Path(path).is_symlink():
            Path(path).unlink(missing_ok=True)
            Path(path).symlink_to(leads)


def _first_start(folder: Path) -> float:
    """Epoch seconds of the first attempt: what stopping in time counts from."""
    with suppress(Exception):
        return float(read_json(folder / HEARTBEAT)["started"])
    began = time.time()
    write_json(folder / HEARTBEAT, {"started": began, "at": began})
    return began


def _start(folder: Path, order: Order, log: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tesuji", "run", RECIPE, "--runs", order.runs]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
    return subprocess.Popen(
        [*command, *order.arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_as_a_child,
    )


def _as_a_child() -> None:
    """No second run where this was killed and started again; and SIGINT is heard, which whatever
    was put into the background by a shell ignores, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)


class _Stop:
    """Tells the run to stop, once: a second word would cut its checkpoint short. `why` is a key of
    IN_WORDS once it was told; what time is up for is the order's."""

    def __init__(self, of_time: str) -> None:
        self.of_time, self.why, self.at = of_time, "", 0.0
        self.child: subprocess.Popen[bytes] | None = None

    def begin(self, child: subprocess.Popen[bytes]) -> None:
        """The run is there, and hears what was said before."""
        self.child = child
        if self.why:
            _signal(child, signal.SIGINT)

    def tell(self, why: str) -> None:
        """Tell it, unless it was told."""
        if not self.why:
            self.why, self.at = why, time.time()
            if self.child is not None:
                _signal(self.child, signal.SIGINT)


def _wait(
    child: subprocess.Popen[bytes],
    until: float,
    folder: Path,
    beat: Callable[[], None],
    stop: _Stop,
) -> None:
    """Wait for the run's end, and tell it to stop when it is time or somebody asks."""
    started = float(read_json(folder / HEARTBEAT)["started"])
    beaten = 0.0
    while child.poll() is None:
        now = time.time()
        if now >= beaten + BEATS:
            write_json(folder / HEARTBEAT, {"started": started, "at": now})
            beat()
            beaten = now
        if (folder / STOP).exists():
            stop.tell("asked")
        elif now >= until:
            stop.tell(stop.of_time)
        if stop.why and now >= stop.at + PATIENCE:
            _signal(child, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            child.wait(LOOKS)


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)


@contextmanager
def _passing_signals(stop: _Stop) -> Iterator[None]:
    """Inside, what would end this ends the run first, with its checkpoint."""

    def told(number: int, frame: object) -> None:
        stop.tell("asked")

    before = {number: signal.signal(number, told) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ending(code: int, why: str) -> dict[str, Any]:
    if code == INTERRUPTED or (why and code != 0):
        words = f"{IN_WORDS[why or 'asked']}; what is finished is kept"
        return {"phase": "stopped", "exit_code": code, "message": words}
    phase = "done" if code == 0 else "failed"
    words = "" if code == 0 else f"`tesuji run` ended with code {code}; its log says why"
    if code == -signal.SIGKILL:
        words = "`tesuji run` was killed: mostly because the machine had no memory left"
    return {"phase": phase, "exit_code": code, "message": words}


def last_lines(log: Path, count: int = 20) -> str:
    """The log's last lines, safe to show."""
    with suppress(OSError):
        return redact("\n".join(log.read_text(errors="replace").splitlines()[-count:]))
    return ""


def main(arguments: list[str]) -> int:
    """The command line; its exit code is that of `tesuji run`."""
    code = run_order(Path(arguments[0]).resolve())["exit_code"]
    return int(code) if code is not None and code >= 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
