"""The runs of a sweep, each in a process of its own, some of them at a time.

Where a run goes is `start`'s business: here it is a process of this machine; a rented one would be
started by another function of the same kind.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tesuji.core.files import write_text
from tesuji.core.progress import Progress
from tesuji.pipeline.sweep.planned import Planned
from tesuji.recipe.reading.load import dump_recipe
from tesuji.report.words import duration

LOOK_S = 0.1  # between two looks at who has ended
PATIENCE_S = 60.0  # for runs that were told to end, to write their checkpoints
MODULE = "tesuji.pipeline.sweep.child"


class Running(Protocol):
    """A run under way."""

    def poll(self) -> int | None:
        """Its exit code; None as long as it runs."""

    def terminate(self) -> None:
        """Tell it to end."""


class Work(Protocol):
    """Where runs come from, and who hears of them."""

    def next(self) -> Planned | None:
        """The run to begin now; None where there is none, at least until another has ended."""

    def ended(self, run: Planned, code: int) -> str:
        """A run has ended with this exit code; what is to be said of it."""


Start = Callable[[Planned], Running]


def run_here(folder: Path, parallel: int) -> Start:
    """Starts runs on this machine. A run's recipe goes to `recipes/`, what it prints to `logs/`."""

    def start(run: Planned) -> "subprocess.Popen[bytes]":
        recipe, log = folder / "recipes" / f"{run.name}.yaml", folder / "logs" / f"{run.name}.txt"
        write_text(recipe, dump_recipe(run.recipe))
        log.parent.mkdir(exist_ok=True)
        parent = str(os.getpid())
        words = [sys.executable, "-m", MODULE, parent, "run", str(recipe), "--runs", str(folder)]
        with log.open("ab") as output:
            return subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=_share(parallel)
            )

    return start


def _share(parallel: int) -> dict[str, str]:
    """The environment of a run that has a share of the processors."""
    threads = max(1, (os.cpu_count() or 1) // parallel)
    return {**({"OMP_NUM_THREADS": str(threads)} if parallel > 1 else {}), **os.environ}


def run_all(work: Work, parallel: int, start: Start, progress: Progress) -> None:
    """Start runs as `work` gives them, at most `parallel` at a time, to the end of all. Where this
    is stopped, those under way are told to end, and waited for."""
    running: dict[str, tuple[Planned, Running, float]] = {}
    try:
        while True:
            while len(running) < parallel and (run := work.next()) is not None:
                running[run.name] = (run, start(run), time.monotonic())
                progress.say(f"{run.name}: begun")
            if not running:
                return
            time.sleep(LOOK_S)
            for run, process, begun in list(running.values()):
                if (code := process.poll()) is not None:
                    del running[run.name]
                    took = duration(time.monotonic() - begun)
                    words = work.ended(run, code)
                    progress.advance()
                    progress.say(f"{run.name}: {words}, in {took}")
    finally:
        _end([process for _, process, _ in running.values()])


def _end(processes: list[Running]) -> None:
    for process in processes:
        with suppress(OSError):
            process.terminate()
    ends = time.monotonic() + PATIENCE_S
    while any(process.poll() is None for process in processes) and time.monotonic() < ends:
        time.sleep(LOOK_S)
