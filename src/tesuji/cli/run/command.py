"""`tesuji run RECIPE`: the main job."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tesuji.cli.console import console, say
from tesuji.cli.run.processes import choose_gpus, one_of_several, start_processes, talks
from tesuji.learners.distributed import started, started_alone

if TYPE_CHECKING:
    from tesuji.pipeline.forecast.forecast import Forecast
    from tesuji.pipeline.parts import Part
    from tesuji.pipeline.run import Outcome
    from tesuji.recipe.schema.recipe import Recipe

app = typer.Typer()
ALONE = (
    "beware: accelerate launch has started one process (with --cpu it starts no more); "
    "tesuji run --processes N and torchrun start as many as they are told"
)


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped recipe.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes as key=value, e.g. seed=2 name=second.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done, and stop.")
    ] = False,
    include_anywhere: Annotated[
        bool, typer.Option(help="Let the recipe include files outside its own folder.")
    ] = False,
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Learn in so many processes: distributed.processes."),
    ] = None,
    gpus: Annotated[
        str | None,
        typer.Option(help="Learn on these GPUs of this machine, a process each, such as 0,1."),
    ] = None,
    only: Annotated[
        str, typer.Option(help="One part of the run: preprocess, train or evaluate.")
    ] = "",
    runs: Annotated[Path, typer.Option(help="Folder in which run folders are made.")] = Path(
        "runs"
    ),
) -> None:
    """Run a recipe: data, training, evaluation, report. What is done already is skipped."""
    from tesuji.recipe.reading.load import load_with_places
    from tesuji.recipe.reading.problems import telling_places

    part = _part(only)
    with one_of_several():
        processes = choose_gpus(gpus, processes) if gpus else processes
        asked = [f"distributed.processes={processes}"] if processes else []
        changes = [*(overrides or []), *asked]
        told = say if talks() else (lambda text: None)
        loaded, places = load_with_places(recipe, changes, anywhere=include_anywhere, say=told)
        with telling_places(places, recipe):
            if dry_run:
                if (started() or (0, 1))[0] == 0:
                    _print_plan(loaded, runs)
                return
            if (wanted := _to_start(loaded)) <= 1:
                _take_part(loaded, runs, part)
                return
        more = ["--include-anywhere"] if include_anywhere else []
        more += ["--only", part] if part else []
        raise typer.Exit(
            start_processes(wanted, ["run", recipe, *changes, "--runs", str(runs), *more])
        )


def _part(only: str) -> "Part | None":
    if not only:
        return None
    from tesuji.pipeline.parts import named_part

    return named_part(only)


def _to_start(recipe: "Recipe") -> int:
    """How many processes are still to be started; 0 where somebody has."""
    section = recipe.distributed
    return section.processes if section is not None and started() is None else 0


def _take_part(recipe: "Recipe", runs: Path, part: "Part | None") -> None:
    """Run it; of several processes the main one talks."""
    if (started() or (0, 1))[0] > 0:
        from tesuji.pipeline.run import run_recipe

        run_recipe(recipe, runs, only=part)
        return
    from tesuji.cli.progress import Bar

    if started_alone():
        say(ALONE)
    command = shlex.join(["tesuji", *sys.argv[1:]])
    with Bar() as bar:
        bar.begin("loading")
        from tesuji.pipeline.run import run_recipe

        outcome = run_recipe(recipe, runs, only=part, command=command, progress=bar)
    if part in ("preprocess", "train"):
        say(f"{part}: done in {outcome.seconds:.0f} s. Report: {outcome.page}")
        return
    _print_outcome(outcome, recipe)


def _print_plan(recipe: "Recipe", runs: Path) -> None:
    from tesuji.cli.progress import Bar
    from tesuji.pipeline.forecast.forecast import forecast
    from tesuji.pipeline.heading import heading
    from tesuji.pipeline.run import prepare
    from tesuji.recipe.reading.load import dump_recipe

    with Bar() as bar:
        recipe, run, plan = prepare(recipe, runs, bar)
    table = Table("step", "kind", "reads", "decision", "why", title=f"Plan of {recipe.name}")
    for step in plan:
        model = step.model_from or ("the base model" if step.kind not in ("data", "logs") else "")
        reads = ", ".join(part for part in (step.data_from, model) if part)
        table.add_row(step.name, step.kind, reads, step.decision, step.why)
    console.print(dump_recipe(recipe), markup=False, highlight=False, soft_wrap=True)
    console.print(table)
    say(heading(recipe, plan, run.path))
    console.print(_forecast_table(forecast(recipe, plan, run.path)))


def _forecast_table(forecasts: "list[Forecast]") -> Table:
    """A row a step; what is not known is a dash."""
    table = Table("step", "steps", "tokens a step", "memory", "time", "by", title="Forecast")
    for one in forecasts:
        work = one.work
        steps = f"{work.steps:,}" if work and work.steps else "-"
        tokens = f"{work.tokens:,.0f}" if work else "-"
        if work and work.computed < 0.99 * work.tokens:  # what is common counts once
            tokens += f" ({work.computed:,.0f} computed)"
        memory = f"{one.memory / 1e9:.1f} GB" if one.memory else "-"
        table.add_row(one.step.name, steps, tokens, memory, one.time, one.by)
    return table


def _print_outcome(outcome: "Outcome", recipe: "Recipe") -> None:
    from tesuji.report.collect import collect
    from tesuji.report.tables.held_out import rows_of, rows_table
    from tesuji.report.tables.matches import evaluation_table

    final = outcome.after or outcome.before
    say("")
    if final is not None:
        before = outcome.before if outcome.after else None
        console.print(evaluation_table(before, final, width=console.width))
    looks = [s.evaluation for s in collect(outcome.folder).stages if s.evaluation]
    if scores := rows_of(looks):
        console.print(rows_table(scores))
    say(f"{outcome.seconds:.0f} s in all. Report: {outcome.page}")
    say("\n".join(_next_steps(outcome.folder, recipe)))


def _next_steps(run: Path, recipe: "Recipe") -> Iterator[str]:
    """Where the model is, what can be done with it, and what to do first."""
    from tesuji.games.catalogue import load_game
    from tesuji.games.prompts import NAME as PROMPTS
    from tesuji.pipeline.models.in_run import newest_model

    table = recipe.evaluation.game or recipe.game
    folder, prompts = shlex.quote(str(run)), table.name == PROMPTS
    yield f"The model: {newest_model(run, recipe)}"
    alone = prompts or load_game(table.name, table.options).num_players == 1
    play, talk = f"tesuji play {folder}", f"tesuji chat {folder}"
    judge = f"tesuji eval {folder} " + ("--prompts FILE" if prompts else "--episodes 1000")
    for name, command in (("play", "" if alone else play), ("judge", judge), ("talk", talk)):
        if command:
            yield f"  {name:<6}  {command}"
    if not prompts:
        yield f"  python  tesuji.load_run({str(run)!r}).player(temperature=0)"
    others = f"talk to it: {talk}" if prompts else f"judge it on more: {judge}"
    yield f"Now {others if alone else f'play it: {play}'}"
