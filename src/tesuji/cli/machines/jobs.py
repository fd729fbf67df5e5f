"""`tesuji jobs`: what runs elsewhere, what it costs, and its results."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from tesuji.cli.console import console, say
from tesuji.cli.machines.launch import JOBS, said_ending, show
from tesuji.core.errors import TesujiError

if TYPE_CHECKING:
    from tesuji.compute.job.folder import JobFolder
    from tesuji.compute.machine import Machine

app = typer.Typer(invoke_without_command=True)
Name = Annotated[str, typer.Argument(help="The job's id, a part of it, or its run's name.")]
Folder = Annotated[Path, typer.Option("--jobs", help="Folder of the jobs' folders.")]


@app.callback()
def jobs(context: typer.Context, folder: Folder = JOBS) -> None:
    """What runs elsewhere. Without a command: the list."""
    if context.invoked_subcommand is None:
        list_jobs(folder)
    else:  # `tesuji jobs --jobs DIR list` means the same as `tesuji jobs list --jobs DIR`
        context.default_map = {context.invoked_subcommand: {"folder": str(folder)}}


@app.command("list")
def list_jobs(folder: Folder = JOBS) -> None:
    """List the jobs, as they were last seen."""
    from tesuji.compute.job.folder import all_jobs

    whole = Column("job", no_wrap=True)  # its id is what one types
    table = Table(whole, "on", "GPU", "phase", "minutes", "$")
    now = time.time()
    found = all_jobs(folder, say)
    for job in found:
        wish = job.job.wish
        gpu = f"{wish.count} x {wish.gpu}" if wish.gpu else "-"
        minutes, dollars = f"{job.held_seconds(now) / 60:.1f}", f"{job.cost(now):.2f}"
        table.add_row(job.id, wish.on, gpu, _phase(job), minutes, dollars)
    if found:
        console.print(table)
    else:
        say(f"no jobs in {folder}: `tesuji launch RECIPE --on MACHINE` starts one")


@app.command()
def logs(name: Name = "", folder: Folder = JOBS) -> None:
    """Print what a job has said, and, where it runs, what it says now."""
    from tesuji.core.redact import redact, visible

    job, machine = _job(name, folder)
    for _, line in machine.logs(job, 0):
        say(visible(redact(line)))


@app.command()
def attach(
    name: Name = "",
    stop: Annotated[
        bool, typer.Option("--stop", help="Let Ctrl-C stop the job, as in `tesuji launch`.")
    ] = False,
    folder: Folder = JOBS,
) -> None:
    """Follow a job as `tesuji launch` does, from where it was left; Ctrl-C leaves it running."""
    from tesuji.compute.job.environment import secrets_for
    from tesuji.compute.launch import start
    from tesuji.compute.remote import RECIPE
    from tesuji.recipe.reading.load import load_recipe

    job, machine = _job(name, folder)
    if job.state.released:
        said_ending(job)
        return
    secrets = secrets_for(load_recipe(job.package / RECIPE), [], Path())
    start(job, machine, secrets, say, leave=not stop)
    show(job, machine, secrets, leave=not stop)


@app.command("stop")
def stop_job(name: Name = "", folder: Folder = JOBS) -> None:
    """Stop a job with a checkpoint, bring its results, give its machine back."""
    from tesuji.compute.follow import end

    job, machine = _job(name, folder)
    end(job, machine, say, ask=True)
    said_ending(job)


@app.command()
def fetch(name: Name = "", folder: Folder = JOBS) -> None:
    """Bring what has come of a job so far."""
    from tesuji.compute.follow import fetch as bring

    job, machine = _job(name, folder)
    say(f"results: {bring(job, machine)}")


@app.command()
def cost(name: Name = "", folder: Folder = JOBS) -> None:
    """What a job has cost so far, or what it came to, beside what was expected."""
    job, _ = _job(name, folder)
    said_ending(job)


@app.command()
def sweep(
    unknown: Annotated[
        bool, typer.Option("--unknown", help="End machines of ours that no job here knows, too.")
    ] = False,
    on: Annotated[str, typer.Option(help="Look there, too: modal, runpod, ssh:user@host.")] = "",
    folder: Folder = JOBS,
) -> None:
    """Bring home what has ended; give back machines that nobody needs."""
    from tesuji.compute.job.environment import load_own_keys
    from tesuji.compute.job.folder import all_jobs
    from tesuji.compute.registry import machine_for
    from tesuji.compute.sweep import settle

    load_own_keys(Path())
    places = {job.job.wish.on for job in all_jobs(folder, say)} | ({on} if on else set())
    ended, failed = 0, False
    for place in sorted(places):
        try:
            ended += settle(folder, machine_for(place), place, say, unknown=unknown)
        except TesujiError as error:  # the others are looked at all the same
            say(f"{place}: {error}")
            failed = True
    say(f"{ended} machine{'' if ended == 1 else 's'} given back")
    if failed:
        raise typer.Exit(1)


def _job(name: str, folder: Path) -> "tuple[JobFolder, Machine]":
    from tesuji.compute.job.environment import load_own_keys
    from tesuji.compute.job.folder import find_job
    from tesuji.compute.registry import machine_for

    load_own_keys(Path())
    job = find_job(folder, name, say)
    return job, machine_for(job.job.wish.on)


def _phase(job: "JobFolder") -> str:
    state = job.state
    return state.phase if state.released or state.phase == "new" else f"{state.phase}, held"
