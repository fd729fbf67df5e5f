"""`tesuji compare RUN RUN ...`: runs side by side, and what is more than noise."""

import json
from pathlib import Path
from typing import Annotated

import typer

from tesuji.cli.console import console, say

app = typer.Typer()


@app.command()
def compare(
    runs: Annotated[
        list[str], typer.Argument(help="Run folders, or their names; of a sweep, its folder.")
    ],
    html: Annotated[Path | None, typer.Option(help="Write a page with curves here, too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")] = False,
    folder: Annotated[
        Path, typer.Option("--runs", help="Folder in which runs are found by name.")
    ] = Path("runs"),
) -> None:
    """Compare runs: which keys differ, their figures over seeds, and what is more than noise."""
    from tesuji.report.compare.compare import compare as compared
    from tesuji.report.compare.page import plain_comparison, write_comparison
    from tesuji.report.compare.table import comparison_table

    found = compared([path for name in runs for path in found_runs(name, folder)])
    if html is not None:
        write_comparison(found, html)
    if as_json:
        print(json.dumps(plain_comparison(found), indent=2))
        return
    console.print(comparison_table(found))
    if html is not None:
        say(f"The page: {html}")


def found_runs(name: str, root: Path) -> list[Path]:
    """The run folder of this name; of a folder of run folders, such as a sweep's, all of them."""
    from tesuji.core.run_folder import find_run

    for folder in (Path(name), root / name):
        if not (folder / "manifest.json").exists():
            inside = sorted(path.parent for path in folder.glob("*/manifest.json"))
            if inside:
                return inside
    return [find_run(name, root)]
