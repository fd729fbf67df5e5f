"""`tesuji sweep RECIPE key=value,value ...`: many runs of one recipe, then compared."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from tesuji.cli.console import console, say
from tesuji.core.errors import RecipeError

if TYPE_CHECKING:
    from tesuji.pipeline.sweep.grid import Grid
    from tesuji.pipeline.sweep.processes import Start
    from tesuji.pipeline.sweep.search import Search
    from tesuji.pipeline.sweep.sweep import Sweep

app = typer.Typer()
SHOWN = 10  # of a search's runs, the best


@app.command()
def sweep(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped recipe.")],
    values: Annotated[
        list[str],
        typer.Argument(
            help="Keys and their values: seed=1,2,3 learning_rate=1e-5,3e-5; with --trials a "
            "range, learning_rate=1e-6:1e-3:log. One value is the same in every run."
        ),
    ],
    parallel: Annotated[int, typer.Option(min=1, help="Runs at a time.")] = 1,
    runs: Annotated[Path, typer.Option(help="Folder in which the sweep's folder is made.")] = Path(
        "runs"
    ),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the runs, and stop.")] = False,
    trials: Annotated[
        int, typer.Option(min=0, help="Let Optuna choose the values of so many runs.")
    ] = 0,
    metric: Annotated[
        str, typer.Option(help="What a search is for, such as random/win_rate or exploitability.")
    ] = "",
    direction: Annotated[
        str, typer.Option(help="maximize or minimize; default: as the metric's name says.")
    ] = "",
    most: Annotated[int, typer.Option(min=1, help="Most runs of a grid.")] = 100,
    on: Annotated[
        str, typer.Option(help="Run each as a job there: modal, runpod, or ssh:user@host.")
    ] = "",
    gpu: Annotated[str, typer.Option(help="With --on: the GPU of each, such as A100-40GB.")] = "",
    option: Annotated[
        list[str] | None, typer.Option(help="With --on: a setting of the machine, key=value.")
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option(min=0, help="With --on: dollars after which each one stops.")
    ] = None,
    jobs: Annotated[Path, typer.Option(help="With --on: folder of the jobs' folders.")] = Path(
        "jobs"
    ),
    include_anywhere: Annotated[
        bool, typer.Option(help="Let the recipe include files outside its own folder.")
    ] = False,
) -> None:
    """Run a recipe once for every combination of values, or as Optuna draws them, and compare."""
    from tesuji.cli.progress import Bar
    from tesuji.pipeline.sweep.sweep import plan_sweep
    from tesuji.recipe.reading.load import load_with_places
    from tesuji.recipe.schema.recipe import Recipe

    maximize = _direction(metric, direction, trials)

    def load(changes: Sequence[str]) -> Recipe:
        return load_with_places(recipe, changes, anywhere=include_anywhere)[0]

    with Bar() as bar:
        planned = plan_sweep(
            load,
            values,
            runs,
            metric=metric,
            trials=trials,
            maximize=maximize,
            most=most,
            progress=bar,
        )
    _print_plan(planned)
    limits = {"--gpu": gpu, "--max-cost": max_cost}
    there = _there(planned.folder, jobs, on, limits, option or []) if on else None
    if dry_run:
        return
    with Bar() as bar:
        done = planned.run(parallel=parallel, start=there, progress=bar)
    _compare(planned, done)
    if done.failed:
        say(f"failed: {', '.join(done.failed)}. The same command tries them again.")
        raise typer.Exit(1)


def _there(
    folder: Path, jobs: Path, on: str, limits: dict[str, Any], settings: Sequence[str]
) -> "Start":
    """How runs are started on that machine. Raises ComputeError where it cannot be had."""
    from tesuji.cli.experiments.elsewhere import run_there
    from tesuji.cli.run.estimate import gpu_and_count
    from tesuji.compute.base import Wish
    from tesuji.compute.job.environment import load_own_keys
    from tesuji.compute.registry import machine_for

    load_own_keys(Path())
    machine_for(on).check(Wish(on, *gpu_and_count(limits["--gpu"])))
    given = {"--on": on, **limits}
    options = [text for key, value in given.items() if value for text in (key, str(value))]
    options += [text for setting in settings for text in ("--option", setting)]
    return run_there(folder, jobs, options)


def _compare(planned: "Sweep", done: "Grid | Search") -> None:
    """What the runs came to: of a search its best ones first."""
    from tesuji.pipeline.sweep.search import Search
    from tesuji.report.compare.compare import compare
    from tesuji.report.compare.page import write_comparison
    from tesuji.report.compare.table import comparison_table

    names = [run.name for run in planned.runs]
    if isinstance(done, Search):
        ranked = done.ranked()[:SHOWN]
        names = [name for name, _, _ in ranked]
        table = Table("run", planned.metric)
        for name, value, _ in ranked:
            table.add_row(name, f"{value:.4g}")
        console.print(table)
    folders = [planned.folder / name for name in names if name not in done.failed]
    if len(folders) < 2:
        return
    comparison, page = compare(folders), planned.folder / "comparison.html"
    write_comparison(comparison, page)
    console.print(comparison_table(comparison))
    say(f"Curves, and all figures: {page}")


def _direction(metric: str, direction: str, trials: int) -> bool:
    """Whether more is better. Raises RecipeError where nobody says, or what says it is wrong."""
    from tesuji.report.compare.figures import higher_is_better

    if trials and not metric:
        hint = "--metric NAME, such as random/win_rate, exploitability or held_out/perplexity"
        raise RecipeError("a search needs something to search for", where="--trials", hint=hint)
    if direction not in ("", "maximize", "minimize"):
        raise RecipeError(
            f"no direction {direction!r}", where="--direction", hint="maximize or minimize"
        )
    better = higher_is_better(metric)
    if trials and not direction and better is None:
        hint = "--direction maximize, or minimize"
        raise RecipeError(f"neither more nor less of {metric} is better", where=metric, hint=hint)
    return direction == "maximize" if direction else better is not False


def _print_plan(sweep: "Sweep") -> None:
    say(f"sweep   {sweep.count} runs in {sweep.folder}")
    if sweep.same:
        say(f"same    {', '.join(sweep.same)}")
    if sweep.aim:
        say(f"search  {sweep.aim.direction} {sweep.aim.metric}, led by Optuna")
        for one in sweep.ranges:
            say(f"        {one.key} from {one.low:g} to {one.high:g}{', log' if one.log else ''}")
        for axis in sweep.axes:
            say(f"        {axis.key} one of {', '.join(axis.values)}")
        return
    table = Table("run", "what is left")
    for run in sweep.runs:
        table.add_row(run.name, f"{run.left} steps" if run.left else "nothing, it is done")
    console.print(table)
