"""Nothing of ours goes on costing unseen: ended jobs are brought home, machines without a job are
given back."""

import time
from contextlib import suppress
from pathlib import Path

from tesuji.compute.base import ENDS, Leftover
from tesuji.compute.follow import end
from tesuji.compute.job.folder import JobFolder, all_jobs
from tesuji.compute.launch import Say
from tesuji.compute.machine import Machine
from tesuji.core.errors import TesujiError
from tesuji.core.files import HALF, discard

HALF_IS_DEAD = 3600.0  # seconds after which nobody is packing any more
JUST_MADE = 60.0  # seconds that a job may wait for its start


def settle(jobs: Path, machine: Machine, on: str, say: Say, *, unknown: bool = False) -> int:
    """Bring home what has ended on this machine, and give back what no job here has any use for;
    how many machines were given back. With `unknown`, those of other folders and people, too. What
    fails for one job is raised after the others were seen to."""
    _clear_halves(jobs)
    ours = {job.id: job for job in all_jobs(jobs, say) if job.job.wish.on == on}
    problems = []
    for job in ours.values():
        if not job.state.released and not job.is_followed() and _has_ended(job, machine):
            say(f"{job.id} has ended: bringing its results")
            try:
                end(job, machine, say)
            except TesujiError as error:
                problems.append(error)
    ended = sum(_give_back(left, ours, machine, say, unknown) for left in machine.leftovers())
    if problems:
        raise problems[0]
    return ended


def _clear_halves(jobs: Path) -> None:
    """Packages of launches that were killed while they packed, an hour ago or more."""
    for half in jobs.glob(f".*{HALF}"):
        with suppress(OSError):
            if time.time() - half.stat().st_mtime > HALF_IS_DEAD:
                discard(half)


def _has_ended(job: JobFolder, machine: Machine) -> bool:
    """Whether it has; one whose start was cut short, and that nobody goes on with, has now."""
    phase = job.state.phase
    if phase == "new" and time.time() - job.job.created < JUST_MADE:
        return False
    if phase in ("new", "shipping"):
        return job.note(phase="stopped", message="its start was cut short").phase in ENDS
    try:
        return job.note_status(machine.status(job)).phase in ENDS
    except TesujiError:
        return False


def _give_back(
    left: Leftover, ours: dict[str, JobFolder], machine: Machine, say: Say, unknown: bool
) -> int:
    job = ours.get(left.job)
    if job is None and not unknown:
        rate = f" (${left.dollars_per_hour:.2f} an hour)" if left.dollars_per_hour else ""
        say(
            f"{left.id}{rate} is of no job in this folder: `tesuji jobs sweep --unknown` ends it, "
            "too"
        )
        return 0
    if job is not None and not job.state.released:
        return 0
    machine.release(left)
    say(f"given back: {left.id}")
    return 1
