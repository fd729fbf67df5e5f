"""Follow a job to its end: what it says, what has come of it so far, what it costs; and at the end
its results here and its machine given back, whatever happened in between."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tesuji.compute.base import ENDS, GoneError, Status
from tesuji.compute.job.folder import JobFolder
from tesuji.compute.launch import MARKER, Say, begin, give_up, heard_once
from tesuji.compute.machine import Machine
from tesuji.core.errors import ComputeError, TesujiError
from tesuji.core.files import write_json
from tesuji.core.redact import redact, visible

SAID, SAID_OF_A_LOST = 30.0, 10.0  # seconds that the last lines of a log are waited for


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between looks."""

    look: float = 5.0
    fetch: float = 60.0
    grace: float = 300.0
    """What a run that is told to stop has for its checkpoint."""
    tries: int = 5
    """Of the last fetch, and of giving the machine back."""


class _LostError(Exception):
    """The job's machine is lost, and another may take its place."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.message)
        self.status = status


def follow(
    job: JobFolder,
    machine: Machine,
    say: Say,
    *,
    leave: bool = False,
    pace: Pace | None = None,
    secrets: Mapping[str, str] | None = None,
) -> Status:
    """Show the job's log and bring its results until it has ended; how it ended. With `secrets` it
    is started again where its machine is lost, as often as its retries say.

    Ctrl-C stops the job, with its results; with `leave` it goes on without this. Raises DataError
    where another process follows it, ComputeError where the machine cannot be given back.
    """
    pace = pace or Pace()
    with job.followed(), heard_once(say) as no_more:
        try:
            while not job.state.whole:  # else there is nothing left to hear of it
                try:
                    with _showing_log(job, machine, say, pace):
                        _watch(job, machine, say, pace, renewable=secrets is not None)
                    break
                except _LostError as lost:
                    _renew(job, machine, secrets or {}, say, lost.status, leave=leave)
            no_more()
        except KeyboardInterrupt:
            if leave:
                say(f"{job.id} goes on: `tesuji jobs attach {job.id}` shows it again")
                return Status(job.state.phase)
            return end(job, machine, say, pace, ask=True)
        return end(job, machine, say, pace)


def end(
    job: JobFolder, machine: Machine, say: Say, pace: Pace | None = None, *, ask: bool = False
) -> Status:
    """Bring the results and give the machine back, for a job that has ended, or (`ask`) that is
    told to stop now. May be called again where it was cut short: results that are here are not
    asked for again."""
    pace = pace or Pace()
    if ask and job.state.phase not in ENDS:
        _ask_to_stop(job, machine, say, pace)
    if not job.state.whole:
        _try(lambda: fetch(job, machine), say, pace, "the results cannot be fetched")
    problem = _try(lambda: machine.stop(job), say, pace, "the machine cannot be given back")
    if problem:
        raise ComputeError(
            f"it may still cost: {problem}", where=job.id, hint="`tesuji jobs sweep` tries again"
        )
    job.note(released=True)
    state = job.state
    return Status(state.phase, state.exit_code, state.message, state.started, state.ended)


def fetch(job: JobFolder, machine: Machine) -> Path:
    """Bring what has come of it to the run folder; where that is."""
    run, over = Path(job.job.runs) / job.job.run, job.state.phase in ENDS
    machine.fetch(job, run.parent)
    job.note(fetched=time.time(), whole=over)
    if run.is_dir():
        write_json(run / MARKER, {"id": job.id, "on": job.job.wish.on, "gpu": job.job.wish.gpu})
    return run


def _renew(
    job: JobFolder,
    machine: Machine,
    secrets: Mapping[str, str],
    say: Say,
    lost: Status,
    *,
    leave: bool,
) -> None:
    """Start it on another machine, with what could be brought; where that may not be, note that it
    is lost. Raises TesujiErrors where it cannot be started, with nothing left that costs."""
    with suppress(TesujiError):
        fetch(job, machine)
    if not machine.renew(job):
        job.note_status(lost)
        return
    say(f"{lost.message}\n  → it is started again, with what is here of it")
    try:
        begin(job, machine, secrets)
    except KeyboardInterrupt:
        if not leave:
            give_up(job, machine, "stopped", "stopped before it had begun again")
            job.note(whole=True)  # as far as ever
        raise


def _watch(job: JobFolder, machine: Machine, say: Say, pace: Pace, *, renewable: bool) -> None:
    """Look until it has ended; fetch now and then; ask it to stop where it costs too much. Raises
    _LostError for a `renewable` one that has lost its machine."""
    fetched, told_at, silent = time.monotonic(), 0.0, False
    while job.state.phase not in ENDS:
        try:
            status = machine.status(job)
            if status.phase == "lost" and renewable and job.job.wish.retries:
                raise _LostError(status)
            state, silent = job.note_status(status), False
        except ComputeError as error:
            if not silent:
                say(f"{error}\n  (trying again)")
            silent, state = True, job.state
        if state.phase in ENDS:
            return
        if not told_at and _too_dear(job):
            told_at = time.monotonic()
            say(f"${job.cost(time.time()):.2f} is the limit: it is told to stop")
            with suppress(ComputeError):
                machine.interrupt(job)
        if told_at and time.monotonic() - told_at > pace.grace:
            _give_up(job)
            return
        if state.phase == "running" and time.monotonic() - fetched >= pace.fetch:
            fetched = time.monotonic()
            with suppress(TesujiError):
                fetch(job, machine)
        time.sleep(pace.look)


def _too_dear(job: JobFolder) -> bool:
    most = job.job.wish.max_cost
    return most is not None and job.cost(time.time()) >= most


def _ask_to_stop(job: JobFolder, machine: Machine, say: Say, pace: Pace) -> None:
    """Have it stop with a checkpoint, within the grace."""
    say("stopping: its checkpoint and its results are brought first")
    with suppress(ComputeError):
        machine.interrupt(job)
    until = time.monotonic() + pace.grace
    while time.monotonic() < until and job.state.phase not in ENDS:
        with suppress(ComputeError):
            job.note_status(machine.status(job))
        time.sleep(min(1.0, pace.look))
    if job.state.phase not in ENDS:
        _give_up(job)


def _give_up(job: JobFolder) -> None:
    job.note(phase="stopped", ended=time.time(), message="it did not stop when it was told to")


def _try(call: Callable[[], object], say: Say, pace: Pace, words: str) -> str:
    """Call, a few times; the last problem in words, or nothing."""
    problem = ""
    for attempt in range(pace.tries):
        try:
            call()
        except GoneError as error:
            problem = str(error)
            break
        except TesujiError as error:
            problem = str(error)
            time.sleep(min(30.0, pace.look * 2**attempt))
        else:
            return ""
    say(f"{words}: {problem}")
    return problem


@contextmanager
def _showing_log(job: JobFolder, machine: Machine, say: Say, pace: Pace) -> Iterator[None]:
    """Beside the block, lines of the job's log come here, and the last ones when it has ended."""
    over = threading.Event()
    thread = threading.Thread(target=_read_log, args=(job, machine, say, pace, over), daemon=True)
    thread.start()
    try:
        yield
        thread.join(timeout=SAID_OF_A_LOST if job.state.phase == "lost" else SAID)
    finally:
        over.set()


def _read_log(
    job: JobFolder, machine: Machine, say: Say, pace: Pace, over: threading.Event
) -> None:
    while not over.is_set():
        try:
            for offset, line in machine.logs(job, job.state.log_offset):
                if over.is_set():
                    return
                with job.log.open("a", encoding="utf-8", errors="replace") as file:
                    file.write(redact(line) + "\n")
                job.note(log_offset=offset)
                say(visible(redact(line)))
            if job.state.phase in ENDS:
                return
        except ComputeError as error:  # `_watch` tells it; what is left is asked for again
            if isinstance(error, GoneError) and job.state.phase in ENDS:
                return
        over.wait(pace.look)
