"""`tesuji launch RECIPE --on MACHINE`: the same `tesuji run`, on a machine rented or lent."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tesuji.cli.console import say
from tesuji.cli.machines.logs_report import report_logs
from tesuji.cli.machines.parts import Asked, launch_parts, names_of
from tesuji.cli.run.estimate import gpu_and_count
from tesuji.core.errors import ComputeError, TesujiError
from tesuji.pipeline.parts import named_part

if TYPE_CHECKING:
    from tesuji.compute.base import Price, Wish
    from tesuji.compute.job.folder import JobFolder
    from tesuji.compute.machine import Machine
    from tesuji.recipe.schema.recipe import Recipe

app = typer.Typer()
JOBS = Path("jobs")


@app.command()
def launch(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped recipe.")],
    on: Annotated[str, typer.Option(help="modal, runpod, or ssh:user@host.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes as key=value, as for `tesuji run`.")
    ] = None,
    gpu: Annotated[
        str, typer.Option(help="GPU and how many, such as A100-40GB:2; default: none.")
    ] = "",
    cpus: Annotated[float, typer.Option(min=0, help="Cores; default: the machine's.")] = 0,
    memory: Annotated[float, typer.Option(min=0, help="GB; default: the machine's.")] = 0,
    disk: Annotated[float, typer.Option(min=0, help="GB; default: the machine's.")] = 0,
    cloud: Annotated[str, typer.Option(help="RunPod: SECURE or COMMUNITY.")] = "",
    option: Annotated[
        list[str] | None, typer.Option(help="Another setting of the machine, as key=value.")
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(min=0.01, help="Hours after which it stops, with a checkpoint; default: 24."),
    ] = None,
    retries: Annotated[
        int, typer.Option(min=0, max=10, help="Times it is started again where it was lost.")
    ] = 0,
    max_cost: Annotated[
        float | None, typer.Option(min=0, help="Dollars after which it stops, with a checkpoint.")
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(help="A variable to hand on, beside HF_TOKEN, WANDB_API_KEY and .env."),
    ] = None,
    logs: Annotated[
        Path | None, typer.Option(help="Files for the recipe's `logs` stage: its `paths`.")
    ] = None,
    only: Annotated[
        str,
        typer.Option(help="Modal: one part of it: upload, preprocess, train or evaluate."),
    ] = "",
    every: Annotated[
        bool, typer.Option("--all", help="Modal: all these parts, each a job of its own.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Ship the run folder that is here, and go on with it.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Start it and leave: `tesuji jobs attach` is later.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check, say what it costs, start nothing.")
    ] = False,
    include_anywhere: Annotated[
        bool, typer.Option(help="Let the recipe include files outside its own folder.")
    ] = False,
    runs: Annotated[Path, typer.Option(help="Folder for the run folder.")] = Path("runs"),
    jobs: Annotated[Path, typer.Option(help="Folder for the job's own folder.")] = JOBS,
) -> None:
    """Ship a recipe to another machine, follow it, bring its results, give the machine back."""
    from tesuji.compute.base import Wish
    from tesuji.compute.job.environment import load_own_keys, secrets_for
    from tesuji.compute.launch import Folders
    from tesuji.compute.modal.defaults import by_recipe
    from tesuji.compute.registry import machine_for
    from tesuji.recipe.reading.load import load_with_places

    parts = names_of(only, every, detach=detach, resume=resume)
    load_own_keys(Path())
    machine = machine_for(on)
    given = [f"stages.logs.paths={logs}"] if logs else []

    def load(changes: Sequence[str]) -> "Recipe":
        words = [*(overrides or []), *given, *changes]
        return load_with_places(recipe, words, anywhere=include_anywhere)[0]

    options = _options(option or []) | ({"cloud": cloud} if cloud else {})
    hours = 24 if timeout is None else timeout
    sizes = *gpu_and_count(gpu), cpus, memory, disk
    wish = Wish(on, *sizes, hours, retries, max_cost, options)
    asked = Asked(
        load=load,
        wish=by_recipe(wish, load([]), timeout=timeout),
        machine=machine,
        folders=Folders(jobs, runs, Path()),
        secrets=lambda recipe: secrets_for(recipe, secret or [], Path()),
        expect=lambda recipe, wish, price, part: _expected(recipe, wish, price, runs, part),
        show=lambda job, known: show(job, machine, known, detach=detach),
        command=shlex.join(["tesuji", *sys.argv[1:]]),
        logs=logs,
        dry_run=dry_run,
    )
    if parts:
        launch_parts(parts, asked)
    else:
        _launch_whole(asked, resume=resume)


def _launch_whole(asked: Asked, *, resume: bool) -> None:
    """The whole recipe as one job, to its end. Raises TesujiErrors, before anything is paid where
    it can be known before."""
    from tesuji.compute.launch import cheap, prepare, refuse, start
    from tesuji.compute.sweep import settle

    recipe, wish, folders = asked.load([]), asked.wish, asked.folders
    if asked.logs:
        report_logs(recipe, asked.logs, folders.jobs / f"logs-of-{recipe.name}")
    secrets = asked.secrets(recipe)
    asked.machine.check(wish)
    price = asked.machine.price(wish)
    say(f"{wish.on}{f', {wish.count} x {wish.gpu}' if wish.gpu else ''}: {cheap(price)}")
    hours = asked.expect(recipe, wish, price, "")
    refuse(recipe, wish, price, folders, hours, resume=resume)
    if asked.dry_run:
        say("nothing was started")
        return
    settle(folders.jobs, asked.machine, wish.on, say)
    job = prepare(
        recipe,
        wish,
        asked.machine,
        folders,
        command=asked.command,
        expected_hours=hours,
        resume=resume,
    )
    say(f"job {job.id}")
    start(job, asked.machine, secrets, say)
    asked.show(job, secrets)


def _expected(
    recipe: "Recipe", wish: "Wish", price: "Price", runs: Path, part: str
) -> float | None:
    """Say what it, or one part of it, will take and cost, by step; the hours. None without a GPU,
    and where the model's shape or the GPU's speed is not known."""
    from tesuji.cli.run.times import print_bill
    from tesuji.compute.costs.hours import bill_of

    if not wish.gpu:
        return None
    try:
        bill = bill_of(recipe, wish, price, runs)
    except TesujiError as error:
        say(f"how long it will take is not known: {error.what}")
        return None
    bill = bill.of_part(named_part(part)) if part else bill
    print_bill(bill, wish)
    return bill.seconds / 3600


def show(
    job: "JobFolder",
    machine: "Machine",
    secrets: Mapping[str, str],
    *,
    detach: bool = False,
    leave: bool = False,
) -> None:
    """Follow a job that was started, or say how to; exits with 1 where it did not end well."""
    from tesuji.compute.follow import follow

    if detach:
        say(f"it goes on by itself: `tesuji jobs attach {job.id}` shows it and brings its results")
        return
    status = follow(job, machine, say, leave=leave, secrets=secrets)
    said_ending(job)
    if status.phase != "done" and not (leave and status.phase == "running"):
        raise typer.Exit(1)


def said_ending(job: "JobFolder") -> None:
    """How it ended, where its results are, what it came to."""
    import time

    state, now = job.state, time.time()
    minutes, dollars = job.held_seconds(now) / 60, job.cost(now)
    why = f": {state.message}" if state.message else ""
    say(f"{job.id}: {state.phase}{why}")
    rate = f"${job.job.price.dollars_per_hour:g} an hour"
    expected = job.job.expected_hours
    beside = f", expected ${job.job.price.cost(expected * 3600):.2f}" if expected else ""
    say(f"held for {minutes:.1f} minutes: ${dollars:.2f} at {rate}{beside}")
    run = Path(job.job.runs) / job.job.run
    if run.is_dir():
        say(f"results: {run}")


def _options(given: list[str]) -> dict[str, str]:
    wrong = [text for text in given if not text.partition("=")[0] or "=" not in text]
    if wrong:
        raise ComputeError(f"{wrong[0]!r} is not key=value", where="--option")
    return {text.partition("=")[0]: text.partition("=")[2] for text in given}
