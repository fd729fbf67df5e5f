"""`tesuji launch RECIPE --on modal --only upload|preprocess|train|evaluate`, or `--all` of them:
each a job of its own over one run folder in the volume, so that reading holds no GPU."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tesuji.cli.console import say
from tesuji.cli.machines.logs_report import report_logs
from tesuji.core.errors import ComputeError, RecipeError, did_you_mean
from tesuji.pipeline.parts import PARTS, Part, named_part

if TYPE_CHECKING:
    import modal

    from tesuji.compute.base import Price, Wish
    from tesuji.compute.job.folder import JobFolder
    from tesuji.compute.launch import Folders
    from tesuji.compute.machine import Machine
    from tesuji.recipe.schema.recipe import Recipe

UPLOAD = "upload"


@dataclass(frozen=True)
class Asked:
    """What was typed, as far as each part needs it."""

    load: "Callable[[Sequence[str]], Recipe]"
    """The recipe with these changes beside those that were typed."""
    wish: "Wish"
    machine: "Machine"
    folders: "Folders"
    secrets: "Callable[[Recipe], dict[str, str]]"
    expect: "Callable[[Recipe, Wish, Price, str], float | None]"
    """Says what a part will take (empty: all of it); the hours."""
    show: "Callable[[JobFolder, Mapping[str, str]], None]"
    """Follows a job to its end, and ends this program where that is a bad one."""
    command: str
    logs: Path | None
    dry_run: bool


def names_of(only: str, every: bool, *, detach: bool, resume: bool) -> list[str]:
    """The parts that `--only` and `--all` name, in order; none where neither is given. Raises
    RecipeError."""
    known = [UPLOAD, *PARTS]
    if not only and not every:
        return []
    if resume or (every and detach):
        why = "each part goes on with what is in the volume" if resume else "--all waits for each"
        raise RecipeError(why, where="--resume" if resume else "--detach")
    if every and only:
        raise RecipeError("one of --only and --all", where="--only")
    if only and only not in known:
        hint = f"{did_you_mean(only, known)}one of: {', '.join(known)}"
        raise RecipeError(f"there is no part {only!r}", where="--only", hint=hint)
    return known if every else [only]


def launch_parts(names: Sequence[str], asked: Asked) -> None:
    """Check and tell all of them, then do one after the other. Raises TesujiErrors."""
    from tesuji.compute.modal import tree, volumes
    from tesuji.compute.sweep import settle

    recipe = asked.load([])
    stage = tree.logs_stage(recipe)
    if asked.wish.on != "modal":
        raise ComputeError("parts of a run are for --on modal", where="--only")
    if UPLOAD in names:
        if asked.logs is None:
            raise ComputeError("which logs?", where="--only upload", hint="--logs DIR")
        report_logs(recipe, asked.logs, asked.folders.jobs / f"logs-of-{recipe.name}")
    asked.machine.check(asked.wish)
    outputs = volumes.names(asked.wish, recipe.name).outputs
    place = _place(asked, volumes.opened(outputs))
    there = asked.load([f"stages.{stage}.paths={place}"]) if place else recipe
    parts = [named_part(name) for name in names if name != UPLOAD]
    if UPLOAD not in names:
        tree.refuse_missing(there, parts[0], volumes.opened(outputs))
    planned = [(part, _wish(part, asked)) for part in parts]
    counted = recipe if asked.logs else there  # logs that are here tell how much there is to do
    hours = {part: _told(part, wish, asked, counted) for part, wish in planned}
    if asked.dry_run:
        say("nothing was started")
        return
    settle(asked.folders.jobs, asked.machine, asked.wish.on, say)
    if UPLOAD in names and asked.logs is not None:
        tree.upload(asked.logs, volumes.opened(outputs, make=True), say)
        say(f"uploaded into {outputs}, as {place}")
    jobs = [_run(part, wish, hours[part], asked, there) for part, wish in planned]
    if len(jobs) > 1:
        _say_sum(jobs)


def _place(asked: Asked, outputs: "modal.Volume") -> str | None:
    """Where the logs are for a container: those given here, else those that were uploaded."""
    from tesuji.compute.modal import tree

    return tree.place_of(asked.logs) if asked.logs else tree.uploaded(outputs)


def _wish(part: Part, asked: Asked) -> "Wish":
    """What a part needs: reading needs no GPU, and where logs are many other containers."""
    if part != "preprocess":
        return asked.wish
    return replace(asked.wish, gpu="", count=1, readers=_readers(asked))


def _readers(asked: Asked) -> int:
    """Containers that read beside the job's own, at most; none where one job of reading is all."""
    from tesuji.compute.modal.tree import READERS
    from tesuji.logs.files import files
    from tesuji.logs.jobs import shards

    if asked.logs is None:  # they are there, and not counted
        return READERS
    work = sum(1 for _ in shards(files([asked.logs], asked.folders.jobs)))
    return min(work, READERS) if work > 1 else 0


def _told(part: Part, wish: "Wish", asked: Asked, there: "Recipe") -> float | None:
    """Say what a part costs an hour and will take; the hours, where they are known."""
    from tesuji.compute.launch import cheap

    price = asked.machine.price(wish)
    gpus = f", {wish.count} x {wish.gpu}" if wish.gpu else ", no GPU"
    say(f"{part}: modal{gpus}: {cheap(price)}")
    if wish.readers:
        many = f"{wish.readers} containers of one core and 2 GiB that read beside it"
        say(f"  at most, with up to {many}: they cost while they read")
    return asked.expect(there, wish, price, part)


def _run(
    part: Part, wish: "Wish", hours: float | None, asked: Asked, there: "Recipe"
) -> "JobFolder":
    """One part as a job, to its end."""
    from tesuji.compute.launch import prepare, start
    from tesuji.compute.modal import tree

    job = prepare(
        there,
        wish,
        asked.machine,
        asked.folders,
        command=asked.command,
        expected_hours=hours,
        shared=tree.shared(there, part, wish.readers),
    )
    say(f"{part}: job {job.id}")
    secrets = asked.secrets(there)
    start(job, asked.machine, secrets, say)
    asked.show(job, secrets)
    return job


def _say_sum(jobs: "Sequence[JobFolder]") -> None:
    import time

    now = time.time()
    hours = sum(job.held_seconds(now) for job in jobs) / 3600
    say(f"in all {hours:.2f} hours, ${sum(job.cost(now) for job in jobs):.2f}")
