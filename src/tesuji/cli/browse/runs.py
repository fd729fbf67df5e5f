"""`tesuji runs`: the runs in this folder."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from tesuji.cli.console import console, say
from tesuji.core.errors import DataError
from tesuji.core.run_folder import RunFolder, at_work

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
    folders = [manifest.parent for manifest in manifests]
    busy = at_work(folders)
    for run in folders:
        table.add_row(*map(Text, _row(run, run in busy)))
    console.print(table)
    say(f"\nA run's report: {folder / 'RUN' / REPORT}", soft_wrap=True)


def _row(run: Path, busy: bool) -> tuple[str, ...]:
    try:
        manifest: dict[str, Any] = RunFolder(run).manifest()
    except DataError as error:
        return (run.name, "", error.what, "", "none")
    done = _how_far(run, busy)
    report = REPORT if (run / REPORT).exists() else "none yet"
    when = str(manifest.get("updated", ""))[:16].replace("T", " ")
    return (run.name, when, done, str(manifest.get("seed", "")), report)


def _how_far(run: Path, busy: bool) -> str:
    """How many of the recipe's steps are done; of those begun, where the recipe cannot be read."""
    from tesuji.pipeline.forecast.how_far import how_far

    far = how_far(run, busy)
    return f"{far.done} of {len(far.stages)} done" + (", running" if busy else "")
