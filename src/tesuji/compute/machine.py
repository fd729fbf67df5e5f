"""The calls that every kind of rented or borrowed machine answers.

A machine runs `python -m tesuji.compute.remote` over a job's package (`job/package.py`) and keeps
what that writes; everything else is this side's (`launch.py`, `follow.py`).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from tesuji.compute.base import Leftover, Price, Status, Wish
from tesuji.compute.job.folder import JobFolder


class Machine(Protocol):
    """A place where a job can run. All methods raise ComputeError with one message."""

    def check(self, wish: Wish) -> None:
        """Refuse what cannot be had: keys, libraries, GPU names, capacity. Starts nothing."""

    def price(self, wish: Wish) -> Price:
        """What it costs an hour, live where its owner tells."""

    def start(self, job: JobFolder, secrets: Mapping[str, str]) -> None:
        """Ship the job's package and start it. Called again after this side was killed at any
        moment it finds what it made before, by the job's id, and goes on: never a second machine.
        Ids are noted in the job (`job.note`) as soon as they are known. `secrets` go into the
        process's environment and nowhere else."""

    def status(self, job: JobFolder) -> Status:
        """How the job stands now."""

    def logs(self, job: JobFolder, offset: int) -> Iterator[tuple[int, str]]:
        """(offset after the line, line) for each line after `offset`, until the job has ended. What
        an offset counts is the machine's choice; 0 is the beginning."""

    def fetch(self, job: JobFolder, runs: Path) -> None:
        """Bring the run folder as it stands to `runs`/NAME, each file whole; while it runs, too."""

    def interrupt(self, job: JobFolder) -> None:
        """Ask the run to stop with a checkpoint, and return at once; its status becomes an end."""

    def renew(self, job: JobFolder) -> bool:
        """Whether a job whose machine was lost may be started again, on another one: then nothing
        of the lost one costs any more, and what is here of the run is in what is shipped. False
        where no retry is left, and where the machine's owner sees to retries."""

    def stop(self, job: JobFolder) -> None:
        """Release everything that costs. May be called again, and for a job that has ended."""

    def leftovers(self) -> list[Leftover]:
        """Whatever of ours still costs, by its name's prefix."""

    def release(self, leftover: Leftover) -> None:
        """Have it cost nothing any more."""
