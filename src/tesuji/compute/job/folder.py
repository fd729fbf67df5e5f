"""A job on this side: a folder from which everything goes on after the laptop slept or was killed.

jobs/<id>/
  job.json     what was asked for; written once
  state.json   how it stands: phase, the machine's ids, times, dollars
  package/     what is shipped (package.py)
  log.txt      what it has said so far
"""

import fcntl
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tesuji.compute.base import ENDS, Phase, Price, Status, Wish
from tesuji.core.errors import DataError, did_you_mean
from tesuji.core.files import HALF, read_json, write_json
from tesuji.core.json_dataclass import Codec
from tesuji.core.redact import redact

JOB, STATE, PACKAGE, LOG = "job.json", "state.json", "package", "log.txt"


@dataclass(frozen=True, slots=True)
class Job:
    """What was asked for."""

    id: str
    run: str
    """The name of its run folder."""
    wish: Wish
    price: Price
    command: str
    """What was typed."""
    versions: dict[str, str]
    """Of Tesuji, by version and by the digest of what is shipped, and of Python."""
    runs: str
    """The folder into which its run folder comes back, absolute."""
    created: float
    expected_hours: float | None = None
    format: int = 1


@dataclass(frozen=True, slots=True)
class State:
    """How it stands."""

    phase: Phase = "new"
    handle: dict[str, str] = field(default_factory=dict)
    """The machine's ids: whatever it needs to find the job again."""
    started: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    message: str = ""
    log_offset: int = 0
    fetched: float | None = None
    """When results were last brought here."""
    whole: bool = False
    """Whether they are here as they were when it had ended."""
    released: bool = False
    """Whether nothing of it costs any more."""
    format: int = 1


JOBS = Codec(Job, "a job", newest=1)
STATES = Codec(State, "a job's state", newest=1)


def new_id(run: str, now: float) -> str:
    """A name that is readable, sorts by time and is allowed everywhere: `1130-2015-NAME-a1b2c3`."""
    name = re.sub(r"[^a-z0-9]+", "-", run.lower()).strip("-")[:24].strip("-")
    return f"{time.strftime('%m%d-%H%M', time.localtime(now))}-{name}-{secrets.token_hex(3)}"


class JobFolder:
    """One job on disk. Methods raise DataError when the folder cannot be read or written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def make(cls, root: Path, job: Job, packed: "JobFolder") -> "JobFolder":
        """A new job below `root`, whole or absent: `packed` has its package, and becomes it."""
        write_json(packed.path / STATE, STATES.dump(State()))
        write_json(packed.path / JOB, JOBS.dump(job))
        packed.path.rename(root / job.id)
        return cls(root / job.id)

    @cached_property
    def job(self) -> Job:
        """What was asked for."""
        return JOBS.load(read_json(self.path / JOB), str(self.path / JOB))

    @property
    def state(self) -> State:
        """How it stands, as last noted."""
        return STATES.load(read_json(self.path / STATE), str(self.path / STATE))

    @property
    def id(self) -> str:
        """Its name."""
        return self.path.name

    @property
    def package(self) -> Path:
        """What is shipped."""
        return self.path / PACKAGE

    @property
    def log(self) -> Path:
        """What it has said so far."""
        return self.path / LOG

    def note(self, *, handle: dict[str, str] | None = None, **changes: Any) -> State:
        """Change the state, whole or not at all; `handle` is added to what is known. Other writers
        wait."""
        with self._writing():
            state = self.state
            known = {**state.handle, **(handle or {})}
            new = replace(state, handle=known, **changes)
            write_json(self.path / STATE, STATES.dump(replace(new, message=redact(new.message))))
            return new

    def note_status(self, status: Status) -> State:
        """Note what the machine says; an end that was noted is not taken back."""
        if self.state.phase in ENDS:
            return self.state
        known = {"started": status.started, "ended": status.ended, "exit_code": status.exit_code}
        changes: dict[str, Any] = {
            name: value for name, value in known.items() if value is not None
        }
        if status.message:
            changes["message"] = status.message
        return self.note(phase=status.phase, **changes)

    def held_seconds(self, now: float) -> float:
        """Seconds for which the machine was held up to `now` (epoch seconds)."""
        state = self.state
        if state.started is None:
            return 0.0
        return max(0.0, (state.ended if state.ended is not None else now) - state.started)

    def cost(self, now: float) -> float:
        """Dollars up to `now`, by the price of when it began."""
        return self.job.price.cost(self.held_seconds(now))

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Hold the job for one follower. Raises DataError where another process follows it."""
        with (self.path / ".followed").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                hint = "that one shows what happens; `tesuji jobs logs` shows it here, too"
                raise DataError("another process follows it", where=self.id, hint=hint) from None
            yield

    def is_followed(self) -> bool:
        """Whether a process on this side follows it now."""
        try:
            with self.followed():
                return False
        except DataError:
            return True

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with (self.path / ".writing").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def all_jobs(root: Path, say: Callable[[str], None] = lambda text: None) -> list[JobFolder]:
    """The jobs below `root`, oldest first; a folder that cannot be read is told and left out."""
    found = []
    for path in sorted(root.glob(f"*/{JOB}")):
        folder = JobFolder(path.parent)
        try:
            _ = folder.job, folder.state
        except DataError as error:
            hint = "left out; `tesuji jobs sweep --on MACHINE` says whether it still costs there"
            say(f"{error}\n  → {hint}")
        else:
            found.append(folder)
    return sorted(found, key=lambda folder: folder.job.created)


def find_job(root: Path, name: str, say: Callable[[str], None] = lambda text: None) -> JobFolder:
    """The job of that id, of a part of one that only it has, or the newest of a run of that name;
    empty: the newest of all. A folder that cannot be read is told. Raises DataError."""
    jobs = all_jobs(root, say)
    if not jobs:
        cut = "; the last one was cut short while it packed" if any(root.glob(f".*{HALF}")) else ""
        hint = "`tesuji launch` starts one"
        raise DataError(f"there are no jobs{cut}", where=str(root), hint=hint)
    exact = [job for job in jobs if job.id == name] or [job for job in jobs if job.job.run == name]
    near = exact[-1:] or [job for job in jobs if name in job.id]
    if not name or len(near) == 1:
        return (near or jobs)[-1]
    if near:
        ids = ", ".join(job.id for job in near)
        raise DataError(f"several jobs are called like {name!r}: {ids}", where=str(root))
    raise DataError(
        f"no job {name!r}", where=str(root), hint=did_you_mean(name, [job.id for job in jobs])
    )
