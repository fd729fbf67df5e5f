"""`tesuji run RECIPE`: the main job."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tesuji.cli.console import console

if TYPE_CHECKING:
    from tesuji.pipeline.run import Outcome
    from tesuji.recipe.schema.recipe import Recipe

app = typer.Typer()


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped recipe.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes as key=value, e.g. seed=2 name=second.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done, and stop.")
    ] = False,
    runs: Annotated[Path, typer.Option(help="Folder in which run folders are made.")] = Path(
        "runs"
    ),
) -> None:
    """Run a recipe: data, training, evaluation, report. What is done already is skipped."""
    from tesuji.recipe.reading.load import load_with_places
    from tesuji.recipe.reading.problems import telling_places

    loaded, places = load_with_places(recipe, overrides or [])
    with telling_places(places, recipe):
        if dry_run:
            _print_plan(loaded, runs)
            return
        from tesuji.cli.progress import Bar
        from tesuji.pipeline.run import run_recipe

        command = shlex.join(["tesuji", *sys.argv[1:]])
        with Bar() as bar:
            outcome = run_recipe(loaded, runs, command=command, progress=bar)
    _print_outcome(outcome)


def _print_plan(recipe: "Recipe", runs: Path) -> None:
    from tesuji.pipeline.run import prepare
    from tesuji.recipe.reading.load import dump_recipe

    _, plan = prepare(recipe, runs)
    table = Table("step", "kind", "reads", "decision", "why", title=f"Plan of {recipe.name}")
    for step in plan:
        model = step.model_from or ("the base model" if step.kind not in ("data", "logs") else "")
        reads = ", ".join(part for part in (step.data_from, model) if part)
        table.add_row(step.name, step.kind, reads, step.decision, step.why)
    console.print(dump_recipe(recipe), markup=False, highlight=False, soft_wrap=True)
    console.print(table)


def _print_outcome(outcome: "Outcome") -> None:
    from tesuji.report.collect import collect
    from tesuji.report.tables.held_out import rows_of, rows_table
    from tesuji.report.tables.matches import evaluation_table

    final = outcome.after or outcome.before
    if final is not None:
        before = outcome.before if outcome.after else None
        console.print(evaluation_table(before, final, width=console.width))
    looks = [s.evaluation for s in collect(outcome.folder).stages if s.evaluation]
    if scores := rows_of(looks):
        console.print(rows_table(scores))
    console.print(f"{outcome.seconds:.0f} s in all. Report: {outcome.page}", soft_wrap=True)
    folder = shlex.quote(str(outcome.folder))
    talks = final is not None and final.game == "prompts"
    now = f"Now talk to it: tesuji chat {folder}" if talks else f"Now play it: tesuji play {folder}"
    console.print(now, soft_wrap=True)
