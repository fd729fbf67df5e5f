"""`tesuji runs`: the runs in this folder."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from tesuji.cli.console import console
from tesuji.core.errors import DataError
from tesuji.core.run_folder import RunFolder

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
    table = Table("run", "updated", "stages", "seed", box=None, header_style="bold", pad_edge=False)
    table.add_column("report", overflow="fold")
    for manifest in manifests:
        table.add_row(*map(Text, _row(manifest.parent)))
    console.print(table)


def _row(run: Path) -> tuple[str, ...]:
    try:
        manifest: dict[str, Any] = RunFolder(run).manifest()
    except DataError as error:
        return (run.name, "", error.what, "", "none")
    states = [facts.get("status") for facts in manifest["stages"].values()]
    done = f"{states.count('done')} of {len(states)} done"
    page = run / "report.html"
    report = str(page) if page.exists() else "none yet"
    when = str(manifest.get("updated", ""))[:16].replace("T", " ")
    return (run.name, when, done, str(manifest.get("seed", "")), report)
