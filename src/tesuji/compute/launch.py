"""From a recipe to a job that runs on another machine: checked, priced, packed, started."""

import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tesuji.compute.base import ENDS, Phase, Price, Wish
from tesuji.compute.job.folder import Job, JobFolder, new_id
from tesuji.compute.job.package import make_package
from tesuji.compute.machine import Machine
from tesuji.compute.remote import RUNS, Order, write_order
from tesuji.core.errors import ComputeError, RecipeError, TesujiError
from tesuji.core.files import HALF
from tesuji.pipeline.checks.data import check_logs
from tesuji.recipe.schema.data import LogsStage
from tesuji.recipe.schema.recipe import Recipe

Say = Callable[[str], None]
MARKER = "job.json"  # in a run folder that came from a job: which one
LEAST_SECONDS = 60.0  # a limit that buys less is a mistake
FOR_THE_RUN = 0.9  # of the seconds that --max-cost buys: setting up and fetching cost, too


@dataclass(frozen=True, slots=True)
class Folders:
    """Where things are on this side."""

    jobs: Path
    runs: Path
    here: Path
    """What the recipe's relative paths are relative to."""


@dataclass(frozen=True, slots=True)
class Shared:
    """A run folder over there that several jobs work on, one after the other."""

    runs: str
    """The folder that it is in, over there."""
    arguments: list[str]
    """More for `tesuji run`; `{job}` is the job's id."""
    links: dict[str, str]
    readers: int = 0


def prepare(
    recipe: Recipe,
    wish: Wish,
    machine: Machine,
    folders: Folders,
    *,
    command: str = "",
    expected_hours: float | None = None,
    resume: bool = False,
    shared: Shared | None = None,
) -> JobFolder:
    """Check everything that can be checked before anything is paid, and make the job. With
    `resume` the run folder that is here is shipped, and gone on with; with `shared` it is that of
    earlier jobs over there. Raises TesujiErrors; nothing is left then."""
    machine.check(wish)
    price = machine.price(wish)
    most, why = refuse(recipe, wish, price, folders, expected_hours, resume=resume, shared=shared)
    now = time.time()
    id_ = new_id(recipe.name, now)
    aside = JobFolder(folders.jobs / f".{id_}{HALF}")
    versions = make_package(recipe, aside.package, folders.here)
    if resume:
        run = aside.package / RUNS / recipe.name
        shutil.copytree(folders.runs / recipe.name, run, symlinks=True)
    order = Order(id_, recipe.name, most_seconds=most, why=why)
    write_order(aside.package, _sharing(order, shared) if shared else order)
    runs = str(folders.runs.absolute())
    job = Job(id_, recipe.name, wish, price, command, versions, runs, now, expected_hours)
    return JobFolder.make(folders.jobs, job, aside)


def refuse(
    recipe: Recipe,
    wish: Wish,
    price: Price,
    folders: Folders,
    expected_hours: float | None = None,
    *,
    resume: bool = False,
    shared: Shared | None = None,
) -> tuple[float, str]:
    """Raise a TesujiError for what is wrong on this side; else the seconds that the run may take,
    and what sets them. Leaves nothing."""
    of_a_job = shared and (folders.runs / recipe.name / MARKER).exists()
    if not resume and not of_a_job:
        _refuse_name(recipe.name, folders.runs)
    if resume and not (run := folders.runs / recipe.name).is_dir():
        hint = "without --resume it begins anew"
        raise ComputeError(f"there is no run to go on with: {run}", where="--resume", hint=hint)
    if not shared:
        _check_inputs(recipe)
    for option, folder in (("--runs", folders.runs), ("--jobs", folders.jobs)):
        _check_writable(option, folder)
    return _most_seconds(wish, price, expected_hours)


def start(
    job: JobFolder,
    machine: Machine,
    secrets: Mapping[str, str],
    say: Say = lambda text: None,
    *,
    leave: bool = False,
) -> None:
    """Ship and start it; for a job that was begun before: go on with that. Does nothing for one
    that runs or has ended. Where it cannot be started, or Ctrl-C ends its start (without `leave`),
    nothing is left of it that costs. Meanwhile the job is held, so that nobody takes its start for
    one that was cut short; raises DataError where another process does so."""
    if job.state.phase in ENDS or job.state.phase == "running":
        return
    with job.followed(), heard_once(say):
        try:
            begin(job, machine, secrets)
        except KeyboardInterrupt:
            if not leave:
                give_up(job, machine, "stopped", "stopped before it had begun")
            raise


def begin(job: JobFolder, machine: Machine, secrets: Mapping[str, str]) -> None:
    """Ship and start it, by whoever holds the job. Raises TesujiErrors, with nothing left."""
    if job.state.phase == "new":
        job.note(phase="shipping")
    try:
        machine.start(job, secrets)
    except TesujiError as error:
        give_up(job, machine, "failed", str(error))
        raise
    job.note_status(machine.status(job))


def give_up(job: JobFolder, machine: Machine, phase: Phase, why: str) -> None:
    """Give back what there is of a machine on which it has not begun."""
    machine.stop(job)
    job.note(phase=phase, message=why, released=True)


@contextmanager
def heard_once(say: Say) -> Iterator[Callable[[], None]]:
    """Inside, the first Ctrl-C is obeyed and further ones are answered: giving a machine back is
    not cut short. Once what this yields is called, none is obeyed."""
    obeyed = False

    def answer(number: int, frame: object) -> None:
        nonlocal obeyed
        if obeyed:
            say("still stopping, so that nothing is left running")
            return
        obeyed = True
        raise KeyboardInterrupt

    def no_more() -> None:
        nonlocal obeyed
        obeyed = True

    before = signal.signal(signal.SIGINT, answer)
    try:
        yield no_more
    finally:
        signal.signal(signal.SIGINT, before)


def _sharing(order: Order, shared: Shared) -> Order:
    return replace(
        order,
        runs=shared.runs,
        arguments=[word.format(job=order.job) for word in shared.arguments],
        links=shared.links,
        readers=shared.readers,
    )


def cheap(price: Price) -> str:
    """`$2.10 an hour (table of 2026-07-01)`, in words."""
    if price.source == "free":
        return "costs nothing"
    dated = f"table of {price.date}" if price.source == "table" else "asked just now"
    return f"${price.dollars_per_hour:.2f} an hour ({dated})"


def _refuse_name(run: str, runs: Path) -> None:
    if (runs / run).exists():
        raise ComputeError(
            f"there is a run of that name: {runs / run}",
            where="name",
            hint="--resume ships it and goes on with it; else name=another, or --runs",
        )


def _check_inputs(recipe: Recipe) -> None:
    """What the recipe reads is here. Raises RecipeError."""
    for name, stage in recipe.stages.items():
        if isinstance(stage, LogsStage):
            check_logs(name, stage)
        elif (data := getattr(stage, "data", None)) and not Path(data).is_file():
            raise RecipeError(f"no such file: {data!r}", where=f"stages.{name}.data")


def _check_writable(option: str, folder: Path) -> None:
    """Whether a folder can be made there, or written into. Raises ComputeError."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    try:
        with tempfile.TemporaryDirectory(prefix=".tesuji-", dir=there):
            pass
    except OSError as error:
        raise ComputeError(
            f"{folder} cannot be written: {error.strerror}",
            where=option,
            hint="name another folder",
        ) from None


def _most_seconds(wish: Wish, price: Price, expected_hours: float | None) -> tuple[float, str]:
    """Seconds that the run may take, and what sets them. Raises ComputeError where the limit buys
    nothing, or less than is expected."""
    timeout = wish.timeout_hours * 3600
    if wish.max_cost is None:
        return timeout, "timeout"
    bought = FOR_THE_RUN * price.seconds(wish.max_cost)
    if bought < LEAST_SECONDS:
        raise ComputeError(
            f"${wish.max_cost:g} buys {max(0, bought):.0f} s of this machine: {cheap(price)}",
            where="--max-cost",
            hint="a higher limit, or a cheaper GPU",
        )
    if expected_hours is not None and price.cost(expected_hours * 3600) > wish.max_cost:
        raise ComputeError(
            f"it is expected to cost ${price.cost(expected_hours * 3600):.2f}, over the limit of "
            f"${wish.max_cost:g}",
            where="--max-cost",
            hint="a higher limit, fewer steps, or another GPU: `tesuji estimate` compares them",
        )
    return min(timeout, bought), "cost" if bought < timeout else "timeout"
