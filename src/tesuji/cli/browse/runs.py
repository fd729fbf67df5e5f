"""`tesuji runs`: the runs in this folder."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from tesuji.cli.console import console, say
from tesuji.core.errors import DataError, TesujiError
from tesuji.core.run_folder import RunFolder

REPORT = "report.html"
app = typer.Typer()


@app.command()
def runs(
    folder: Annotated[Path, typer.Argument(help="Folder that holds the run folders.")] = Path(
        "runs"
    ),
) -> None:
    """List the runs: when, how far, and where the report is."""
    manifests = sorted(folder.glob("*/manifest.json"))
    if not manifests:
        console.print(f"no runs in {folder} yet; make one: tesuji run tictactoe/tiny")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("run", no_wrap=True, overflow="fold")
    for name in ("updated", "stages", "seed", "report"):
        table.add_column(name)
    for manifest in manifests:
        table.add_row(*map(Text, _row(manifest.parent)))
    console.print(table)
    say(f"\nA run's report: {folder / 'RUN' / REPORT}", soft_wrap=True)


def _row(run: Path) -> tuple[str, ...]:
    try:
        manifest: dict[str, Any] = RunFolder(run).manifest()
    except DataError as error:
        return (run.name, "", error.what, "", "none")
    done = _how_far(run, manifest["stages"])
    report = REPORT if (run / REPORT).exists() else "none yet"
    when = str(manifest.get("updated", ""))[:16].replace("T", " ")
    return (run.name, when, done, str(manifest.get("seed", "")), report)


def _how_far(run: Path, stages: dict[str, Any]) -> str:
    """How many of the recipe's steps are done; of those begun, where the recipe cannot be read."""
    from tesuji.pipeline.plan import outline
    from tesuji.recipe.reading.load import load_recipe

    try:
        names = [step.name for step in outline(load_recipe(run / "recipe.yaml"))]
    except TesujiError:
        names = list(stages)
    done = sum(stages.get(name, {}).get("status") == "done" for name in names)
    return f"{done} of {len(names)} done"
