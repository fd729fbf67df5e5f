"""Import whole folders of logs: every file, in order, over several processes.

    summary = import_logs([Path("my_logs")], Path("out"))

episodes.jsonl        what was read as episodes
pairs.jsonl           preference pairs that stood in the logs as such
quarantine.jsonl      what was refused: {"file", "line", "kind", "reason", "detail"}
import_summary.json   counts; read = accepted + rejected

Each process writes what it finds into part files, which are joined in the order of the files: the
result does not depend on who reads, and memory does not depend on the size of a file.
"""

import shutil
import tempfile
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from tesuji.core.files import HALF, atomic_path, sweep, unwritable, write_json
from tesuji.core.progress import SILENT, Progress
from tesuji.logs.files import OUTPUTS, SUMMARY, files
from tesuji.logs.jobs import Job, shards
from tesuji.logs.readers import Readers
from tesuji.logs.registry import importer
from tesuji.logs.summary import ImportSummary


def import_logs(
    paths: Sequence[Path],
    out: Path,
    *,
    format: str = "auto",
    include: Collection[str] = (),
    processes: int | None = None,
    readers: Readers | None = None,
    progress: Progress = SILENT,
) -> ImportSummary:
    """Read every file under `paths` and write the four files into `out`.

    `format` names the kind of all records, or "auto": each record's is found out. Games without
    actions, ended by an error or a timeout are quarantined unless `include` names them. What an
    earlier import wrote into `out` is not read. Progress is told in kB, at least one a file.
    `readers` read; none: so many `processes` here. Raises DataError for a path that is not there,
    an unknown format, or a full disk, and what `Readers.read` raises.
    """
    if format != "auto":
        importer(format)  # an unknown one is refused before anything is read
    jobs = list(shards(files(paths, out)))
    summary = ImportSummary(files=sum(len(job) for job in jobs))
    readers = readers or Readers(processes=processes)
    try:
        out.mkdir(parents=True, exist_ok=True)
        sweep(out, deep=False)
        with tempfile.TemporaryDirectory(HALF, ".parts-", out) as parts, ExitStack() as stack:
            into = {name: _open(stack, out / name) for name in OUTPUTS}
            work = [
                Job(tuple(job), format, frozenset(include), Path(parts), number)
                for number, job in enumerate(jobs)
            ]
            bar = _Bar(progress, sum(job.kilobytes for job in work))
            for job, counts in zip(work, readers.read(work, paths, bar.within), strict=True):
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


def _open(stack: ExitStack, path: Path) -> IO[bytes]:
    aside = stack.enter_context(atomic_path(path))
    return stack.enter_context(aside.open("wb"))


def _join(job: Job, into: dict[str, IO[bytes]]) -> None:
    for name, file in into.items():
        with job.part(name).open("rb") as part:
            shutil.copyfileobj(part, file, 1 << 20)
        job.part(name).unlink()
