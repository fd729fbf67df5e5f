"""Some files at once, read by one process into part files of their own.

A job done again writes the same: one that died on the way costs nothing but time.
"""

import gzip
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO

from tesuji.logs.accept import Taker
from tesuji.logs.files import OUTPUTS, Named
from tesuji.logs.records import records
from tesuji.logs.summary import ImportSummary

FILES, BYTES = 200, 16 << 20  # of one job, unless a single file is larger


@dataclass(frozen=True)
class Job:
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


def shards(named: Iterator[Named]) -> Iterator[list[Named]]:
    """The files in order, so many at once as make a job."""
    shard: list[Named] = []
    size = 0
    for file, name in named:
        weight = _size(file)
        if shard and (len(shard) == FILES or size + weight > BYTES):
            yield shard
            shard, size = [], 0
        shard.append((file, name))
        size += weight
    if shard:
        yield shard


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def do(job: Job, within: Callable[[int], None] = lambda kilobytes: None) -> ImportSummary:
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


def do_elsewhere(job: Job) -> tuple[ImportSummary, dict[str, bytes]]:
    """Read a job where its parts' folder is not: the counts, and each part's content, packed."""
    with tempfile.TemporaryDirectory() as folder:
        here = replace(job, parts=Path(folder))
        summary = do(here)
        return summary, {name: gzip.compress(here.part(name).read_bytes(), 1) for name in OUTPUTS}


def bring(job: Job, parts: Mapping[str, bytes]) -> None:
    """Write the parts of a job that was read elsewhere."""
    for name, packed in parts.items():
        job.part(name).write_bytes(gzip.decompress(packed))


def under_way(parts: Path) -> str:
    """The files that were read when their processes died."""
    reading = sorted(parts.glob("*.reading"))
    return ", ".join(one.read_text(encoding="utf-8").partition("\n")[0] for one in reading)
