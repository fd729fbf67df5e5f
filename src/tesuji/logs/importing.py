"""Import whole folders of logs: every file, in order, over several processes.

    summary = import_logs([Path("my_logs")], Path("out"))

episodes.jsonl        what was read as episodes
pairs.jsonl           preference pairs that stood in the logs as such
quarantine.jsonl      what was refused: {"file", "line", "kind", "reason", "detail"}
import_summary.json   counts; read = accepted + rejected

Each process writes what it finds into part files, which are joined in the order of the files: the
result does not depend on the number of processes, and memory does not depend on the size of a file.
"""

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from tesuji.core.errors import DataError
from tesuji.core.files import HALF, atomic_path, sweep, unwritable, write_json
from tesuji.core.progress import SILENT, Progress
from tesuji.logs.accept import Taker
from tesuji.logs.files import OUTPUTS, SUMMARY, Named, files
from tesuji.logs.records import records
from tesuji.logs.registry import importer
from tesuji.logs.summary import ImportSummary

FILES, BYTES = 200, 16 << 20  # of one job, unless a single file is larger
ALONE = 300, 32 << 20  # files, bytes that one process reads before others are worth starting


def import_logs(
    paths: Sequence[Path],
    out: Path,
    *,
    format: str = "auto",
    include: Collection[str] = (),
    processes: int | None = None,
    progress: Progress = SILENT,
) -> ImportSummary:
    """Read every file under `paths` and write the four files into `out`.

    `format` names the kind of all records, or "auto": each record's is found out. Games without
    actions, ended by an error or a timeout are quarantined unless `include` names them. What an
    earlier import wrote into `out` is not read. Progress is told in kB, at least one a file.
    Raises DataError for a path that is not there, an unknown format, or a full disk.
    """
    if format != "auto":
        importer(format)  # an unknown one is refused before anything is read
    jobs = list(_jobs(files(paths, out)))
    summary = ImportSummary(files=sum(len(job) for job in jobs))
    try:
        out.mkdir(parents=True, exist_ok=True)
        sweep(out, deep=False)
        with tempfile.TemporaryDirectory(HALF, ".parts-", out) as parts, ExitStack() as stack:
            into = {name: _open(stack, out / name) for name in OUTPUTS}
            work = [
                _Job(tuple(job), format, frozenset(include), Path(parts), number)
                for number, job in enumerate(jobs)
            ]
            bar = _Bar(progress, sum(job.kilobytes for job in work))
            number = _processes(processes, summary.files, bar.total)
            for job, counts in zip(work, _all(work, number, bar), strict=True):
                summary.add(counts)
                _join(job, into)
                bar.finished(job.kilobytes)
    except OSError as error:
        raise unwritable(out, error) from error
    write_json(out / SUMMARY, summary.as_json())
    return summary


class _Bar:
    """Tells how far the reading is, in kB."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0
        progress.begin("reading kB", total)

    def finished(self, kilobytes: int) -> None:
        """So much more is read and joined."""
        self.done += kilobytes
        self.progress.update(self.done)

    def within(self, kilobytes: int) -> None:
        """The job under way is so far."""
        self.progress.update(min(self.done + kilobytes, self.total))


def _jobs(named: Iterator[Named]) -> Iterator[list[Named]]:
    job: list[Named] = []
    size = 0
    for file, name in named:
        weight = _size(file)
        if job and (len(job) == FILES or size + weight > BYTES):
            yield job
            job, size = [], 0
        job.append((file, name))
        size += weight
    if job:
        yield job


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


@dataclass(frozen=True)
class _Job:
    """Some files, and where what is found in them goes."""

    files: tuple[Named, ...]
    format: str
    include: frozenset[str]
    parts: Path
    number: int

    @property
    def kilobytes(self) -> int:
        """How much it is, at least one a file."""
        return sum(max(1, _size(path) >> 10) for path, _ in self.files)

    def part(self, name: str) -> Path:
        """This job's share of an output file."""
        return self.parts / f"{self.number:06d}.{name}"


def _processes(wanted: int | None, files: int, kilobytes: int) -> int:
    if wanted is not None:
        return wanted
    small = files < ALONE[0] and kilobytes < ALONE[1] >> 10
    return 1 if small else os.cpu_count() or 1


def _all(work: Sequence[_Job], processes: int, bar: _Bar) -> Iterator[ImportSummary]:
    """Each job's counts, in order."""
    if processes == 1 or len(work) == 1:
        yield from (_do(job, bar.within) for job in work)
        return
    spawn = multiprocessing.get_context("spawn")  # forking a process with threads may hang
    try:
        with ProcessPoolExecutor(min(processes, len(work)), mp_context=spawn) as pool:
            yield from pool.map(_do, work)
    except BrokenProcessPool as error:
        reading = sorted(work[0].parts.glob("*.reading"))
        raise DataError(
            "a process that read files was stopped, most likely for want of memory",
            where=", ".join(
                part.read_text(encoding="utf-8").partition("\n")[0] for part in reading
            ),
            hint="one of these files is the cause: try with --processes 1, or without it",
        ) from error


def _do(job: _Job, within: Callable[[int], None] = lambda kilobytes: None) -> ImportSummary:
    """Read the files of one job into its parts. The first line of `N.reading` names the file under
    way, for the case that this process dies of it."""
    summary = ImportSummary()
    reading, before = job.part("reading"), 0
    with ExitStack() as stack:
        now = stack.enter_context(reading.open("wb", buffering=0))
        into: dict[str, IO[bytes]] = {
            name: stack.enter_context(job.part(name).open("wb")) for name in OUTPUTS
        }
        take = Taker(job.format, job.include, summary, into)
        for path, name in job.files:
            now.seek(0)  # not truncated: that costs a millisecond, ten times what a log takes
            now.write(name.encode() + b"\n")
            take.strange = 0
            place = partial(lambda before, place: within(before + (place >> 10)), before)
            for record in records(path, name, take.text_importer, place, take.note):
                take(record)
                if take.given_up(name):
                    break
            before += max(1, _size(path) >> 10)
    reading.unlink()
    return summary


def _open(stack: ExitStack, path: Path) -> IO[bytes]:
    aside = stack.enter_context(atomic_path(path))
    return stack.enter_context(aside.open("wb"))


def _join(job: _Job, into: dict[str, IO[bytes]]) -> None:
    for name, file in into.items():
        with job.part(name).open("rb") as part:
            shutil.copyfileobj(part, file, 1 << 20)
        job.part(name).unlink()
