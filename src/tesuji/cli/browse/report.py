"""`tesuji report RUN`: write a run's report again."""

from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def report(
    run: Annotated[str, typer.Argument(help="A run folder, or its name under runs/.")],
) -> None:
    """Rebuild report.html and report.md of a run, finished or not, and print where they are."""
    from tesuji.core.run_folder import find_run
    from tesuji.report.page import write_report

    html, markdown = write_report(find_run(run))
    print(html)
    print(markdown)
