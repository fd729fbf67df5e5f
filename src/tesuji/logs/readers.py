"""Who reads: this process, several here, actors of Ray, or containers at Modal. All give the same,
in the same order.

    readers = Readers("ray", "ray://HEAD:10001", 64)
    for counts in readers.read(jobs, within):
        ...

Actors of Ray read whole jobs, never one file a call. What they read and write lies in one file
system, under the same paths on all machines, which is made sure of before anything is read.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tesuji.core.errors import DataError, EngineError
from tesuji.episodes.cluster import ActorLostError, Keys, cluster, in_turn, started, version
from tesuji.logs.jobs import Job, bring, do, under_way
from tesuji.logs.summary import ImportSummary

ALONE = 300, 32 << 20  # files, bytes that one process reads before others are worth starting
CULPRIT = "one of these files is the cause: try with --processes 1, or without it"
OF_STAGE = Keys("stages.logs", "stages.logs.address", "stages.logs.processes")
OF_COMMAND = Keys("--engine", "--address", "--processes")
MODAL_APP, MODAL_READER = "TESUJI_MODAL_APP", "read"  # set for a job there; its function
Within = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Readers:
    """`engine` is `here`, `modal`, or `ray`, at `address`; `processes`, or actors: as many as
    there are cores where it is None. `keys` are what the user calls these."""

    engine: Literal["here", "ray", "modal"] = "here"
    address: str = "local"
    processes: int | None = None
    keys: Keys = OF_STAGE

    def read(
        self, work: Sequence[Job], paths: Sequence[Path], within: Within
    ) -> Iterator[ImportSummary]:
        """Each job's counts, in order; its parts are written. `paths` are what the files lie under.
        `within` is told the kB that are read of a job, where it is read in this process.

        Raises DataError where a process dies, EngineError where Ray does not start, its actors die
        again and again, or one does not see the same files.
        """
        if not work:
            return
        if self.engine == "ray":
            yield from self._by_ray(work, paths)
        elif self.engine == "modal" and len(work) > 1:
            yield from _by_modal(work)
        elif (count := min(self._count(work), len(work))) == 1:
            yield from (do(job, within) for job in work)
        else:
            yield from _by_processes(work, count)

    def _count(self, work: Sequence[Job]) -> int:
        if self.processes is not None:
            return self.processes
        files = sum(len(job.files) for job in work)
        small = files < ALONE[0] and sum(job.kilobytes for job in work) < ALONE[1] >> 10
        return 1 if small else os.cpu_count() or 1

    def _by_ray(self, work: Sequence[Job], paths: Sequence[Path]) -> Iterator[ImportSummary]:
        most = min(self.processes or os.cpu_count() or 1, len(work))
        begin = Begin(str(Path.cwd()), (work[0].parts, *paths), self.keys.address)
        with cluster(self.address, most, self.keys) as cores:
            count = most if self.processes else min(cores, len(work))
            actors = started(Reader, begin, count, cores, self.keys)
            try:
                yield from in_turn(actors, _told, work, self.keys)
            except ActorLostError as error:
                error.where, error.hint = under_way(work[0].parts), CULPRIT
                raise


def _by_modal(work: Sequence[Job]) -> Iterator[ImportSummary]:
    """By containers of the app whose job this is, which have the same volume."""
    app = os.environ.get(MODAL_APP)
    if not app:
        raise EngineError(
            "this is no job at Modal",
            where="stages.logs.engine",
            hint="tesuji launch RECIPE --on modal --only preprocess",
        )
    import modal

    try:
        function = modal.Function.from_name(app, MODAL_READER)
        for job, (counts, parts) in zip(work, function.map(work), strict=True):
            bring(job, parts)
            yield counts
    except modal.exception.Error as error:
        raise EngineError(f"Modal: {error}", where="reading logs") from error


def _by_processes(work: Sequence[Job], count: int) -> Iterator[ImportSummary]:
    spawn = multiprocessing.get_context("spawn")  # forking a process with threads may hang
    try:
        with ProcessPoolExecutor(count, mp_context=spawn) as pool:
            yield from pool.map(do, work)
    except BrokenProcessPool as error:
        raise DataError(
            "a process that read files was stopped, most likely for want of memory",
            where=under_way(work[0].parts),
            hint=CULPRIT,
        ) from error


@dataclass(frozen=True, slots=True)
class Begin:
    """What an actor is told when it starts: the folder to be in, and what it has to see there."""

    folder: str
    seen: Sequence[Path]
    address: str


class Reader:
    """An actor that reads jobs."""

    def __init__(self, begin: Begin) -> None:
        if Path(begin.folder).is_dir():
            os.chdir(begin.folder)
        self.begin = begin

    def ready(self) -> str:
        """The version of what runs here. Raises EngineError where the files are not here."""
        for path in self.begin.seen:
            if not os.path.lexists(path):
                raise EngineError(
                    f"an actor of Ray does not see {path}",
                    where=self.begin.address,
                    hint="logs and output have to be under the same paths on all its machines",
                )
        return version()

    def read(self, job: Job) -> ImportSummary:
        """Read one job."""
        return do(job)


def _told(actor: "Reader", job: Job) -> object:
    return actor.read.remote(job)  # type: ignore[attr-defined]
