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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import orjson

from tesuji.core.errors import DataError
from tesuji.core.files import atomic_path, unwritable, write_json
from tesuji.core.types import Episode, Pair
from tesuji.episodes.importers.base import Importer, Record, Refused
from tesuji.episodes.importers.reading import Unread, records
from tesuji.episodes.importers.registry import importer, importer_for, text_importers
from tesuji.episodes.importers.summary import ImportSummary, Tally
from tesuji.episodes.store import episode_to_row

FILES, BYTES = 200, 16 << 20  # of one job, unless a single file is larger
ALONE = 300  # files that one process reads before others are worth starting
OUTPUTS = ("episodes.jsonl", "pairs.jsonl", "quarantine.jsonl")
Named = tuple[Path, str]


def import_logs(
    paths: Sequence[Path],
    out: Path,
    *,
    format: str = "auto",
    include: Collection[str] = (),
    processes: int | None = None,
    on_progress: Callable[[str, int, int], None] = lambda words, done, total: None,
) -> ImportSummary:
    """Read every file under `paths` and write the four files into `out`.

    `format` names the kind of all records, or "auto": each record's is found out. Games without
    actions, ended by an error or a timeout are quarantined unless `include` names them.
    Raises DataError for a path that is not there, an unknown format, or a full disk.
    """
    if format != "auto":
        importer(format)  # an unknown one is refused before anything is read
    jobs = list(_jobs(_files(paths)))
    total = sum(len(job) for job in jobs)
    tally = Tally()
    tally.numbers["files"] = total
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".parts-") as parts, ExitStack() as stack:
            into = {name: _open(stack, out / name) for name in OUTPUTS}
            work = [
                _Job(tuple(job), format, frozenset(include), Path(parts), number)
                for number, job in enumerate(jobs)
            ]
            done = 0
            for job, found in zip(work, _all(work, _processes(processes, total)), strict=True):
                tally.add(found)
                _join(job, into)
                done += len(job.files)
                on_progress("reading", done, total)
    except OSError as error:
        raise unwritable(out, error) from error
    summary = tally.summary()
    write_json(out / "import_summary.json", summary.as_json())
    return summary


def _files(paths: Sequence[Path]) -> Iterator[Named]:
    """Every file with the name it is called by: from the folder's own name on. Links to folders
    are not followed, so no loop can be walked."""
    for path in paths:
        if not path.exists() and not path.is_symlink():
            raise DataError("no such file or folder", where=str(path), hint="check the path")
        if not path.is_dir():
            yield path, path.name
            continue
        for folder, folders, names in os.walk(path):
            folders.sort()
            for name in sorted(names):
                file = Path(folder) / name
                yield file, str(file.relative_to(path.parent if path.name else path))


def _jobs(files: Iterator[Named]) -> Iterator[list[Named]]:
    job: list[Named] = []
    size = 0
    for file, shown in files:
        weight = _size(file)
        if job and (len(job) == FILES or size + weight > BYTES):
            yield job
            job, size = [], 0
        job.append((file, shown))
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

    def part(self, name: str) -> Path:
        """This job's share of an output file."""
        return self.parts / f"{self.number:06d}.{name}"


def _processes(asked: int | None, files: int) -> int:
    if asked is not None:
        return asked
    return 1 if files < ALONE else os.cpu_count() or 1


def _all(work: Sequence[_Job], processes: int) -> Iterator[Tally]:
    """Each job's counts, in order."""
    if processes == 1 or len(work) == 1:
        yield from map(_do, work)
        return
    spawn = multiprocessing.get_context("spawn")  # forking a process with threads may hang
    try:
        with ProcessPoolExecutor(min(processes, len(work)), mp_context=spawn) as pool:
            yield from pool.map(_do, work)
    except BrokenProcessPool as error:
        raise DataError(
            "a process that read files was stopped, most likely for want of memory",
            where=work[0].files[0][1],
            hint="set processes: 1, and see which file it stops at",
        ) from error


def _do(job: _Job) -> Tally:
    """Read the files of one job into its parts."""
    tally = Tally()
    with ExitStack() as stack:
        into: dict[str, IO[bytes]] = {
            name: stack.enter_context(job.part(name).open("wb")) for name in OUTPUTS
        }
        likely: list[str] = []
        for path, shown in job.files:
            for record in records(path, shown, _text_importer(job.format)):
                _take(record, job, tally, into, likely)
    return tally


def _text_importer(format: str) -> Callable[[str, str], Importer | None]:
    def find(suffix: str, beginning: str) -> Importer | None:
        able = text_importers() if format == "auto" else (importer(format),)
        able = tuple(one for one in able if one.reads == "text")
        named = [one for one in able if suffix in one.suffixes]
        return next((one for one in named or able if named or one.fits(beginning)), None)

    return find


def _take(
    record: Record | Unread,
    job: _Job,
    tally: Tally,
    into: dict[str, IO[bytes]],
    likely: list[str],
) -> None:
    """Read one record, and write what it is or why it is not taken."""
    if isinstance(record, Unread):
        _refuse(record, "", record.reason, record.detail, tally, into)
        return
    reads = "text" if isinstance(record.value, str) else "value"
    found = _importer(record.value, reads, job.format, likely)
    if found is None:
        _refuse(record, "", "unknown_kind", "no importer knows this shape", tally, into)
        return
    likely[:] = [found.kind] if found.kind != "chat" else []  # many shapes look like a chat
    try:
        item = _located(found.read(record), record)
        line = _line(item)
    except Refused as refused:
        _refuse(record, found.kind, refused.reason, refused.detail, tally, into)
        return
    except RecursionError:
        _refuse(record, found.kind, "too_deep", "nested too deeply", tally, into)
        return
    left_out = item.provenance.get("left_out") if isinstance(item, Episode) else None
    if left_out and left_out not in job.include:
        detail = item.reason if isinstance(item, Episode) else ""
        _refuse(record, found.kind, left_out, detail, tally, into)
        return
    tally.accept(found.kind, item)
    into["pairs.jsonl" if isinstance(item, Pair) else "episodes.jsonl"].write(line)


def _importer(value: Any, reads: str, format: str, likely: Sequence[str]) -> Importer | None:
    if format == "auto":
        return importer_for(value, reads, likely)
    found = importer(format)
    return found if found.reads == reads else None


def _located(item: Episode | Pair, record: Record) -> Episode | Pair:
    """The item with the place it was found in."""
    where = f"{record.file}:{record.line}" if record.line else record.file
    if isinstance(item, Pair):
        return replace(item, about={**item.about, "source": where})
    place = {"file": record.file, **({"line": record.line} if record.line else {})}
    match = item.provenance.get("match") or where
    return replace(item, provenance={**item.provenance, "match": str(match), **place})


def _line(item: Episode | Pair) -> bytes:
    if isinstance(item, Episode):
        return orjson.dumps(episode_to_row(item)) + b"\n"
    row = {"prompt": list(item.prompt), "chosen": item.chosen, "rejected": item.rejected}
    return orjson.dumps({**row, "about": dict(item.about)}) + b"\n"


def _refuse(
    record: Record | Unread,
    kind: str,
    reason: str,
    detail: str,
    tally: Tally,
    into: dict[str, IO[bytes]],
) -> None:
    tally.reject(reason)
    row = {
        "file": record.file,
        "line": record.line,
        "kind": kind,
        "reason": reason,
        "detail": detail,
    }
    text = orjson.dumps(row, default=str) if _encodable(row) else orjson.dumps({**row, "file": "?"})
    into["quarantine.jsonl"].write(text + b"\n")


def _encodable(row: dict[str, Any]) -> bool:
    try:
        return bool(orjson.dumps(row))
    except orjson.JSONEncodeError:
        return False


def _open(stack: ExitStack, path: Path) -> IO[bytes]:
    aside = stack.enter_context(atomic_path(path))
    return stack.enter_context(aside.open("wb"))


def _join(job: _Job, into: dict[str, IO[bytes]]) -> None:
    for name, file in into.items():
        with job.part(name).open("rb") as part:
            shutil.copyfileobj(part, file, 1 << 20)
        job.part(name).unlink()
