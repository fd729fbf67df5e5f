"""`tesuji push RUN USER/NAME`: a run's model to the Hugging Face Hub."""

from typing import Annotated

import typer
from rich.table import Table

from tesuji.cli.console import console, loading, say

app = typer.Typer()


@app.command()
def push(
    run: Annotated[str, typer.Argument(help="A run folder, or its name under runs/.")],
    to: Annotated[str, typer.Argument(help="Where: USER/NAME on the Hugging Face Hub.")],
    stage: Annotated[str, typer.Option(help="Whose model; default: the last one trained.")] = "",
    merged: Annotated[
        bool, typer.Option("--merged", help="Merge the adapter into its base first.")
    ] = False,
    private: Annotated[
        bool, typer.Option("--private/--public", help="Who may read it: you, or everyone.")
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be pushed, and stop.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before pushing.")] = False,
) -> None:
    """Push a run's model and its card to the Hugging Face Hub, after asking."""
    from tesuji.datasets.hub import check_name, token

    check_name(to, "USER/NAME")
    if not dry_run:
        token()
    loading("the model")
    from tesuji.learners.export.hub import push_model
    from tesuji.pipeline.take_away import find_trained, pack

    parcel = pack(find_trained(run, stage), to, merged, say)
    who = "private" if private else "public"
    table = Table("file", "bytes", title=f"{parcel.folder} → {to} ({who})")
    for name in parcel.names:
        table.add_row(name, f"{parcel.size(name):,}")
    console.print(table)
    if dry_run:
        say("nothing was pushed: --dry-run")
        return
    if not yes and not typer.confirm(f"Push {len(parcel.names)} files to {to} ({who})?"):
        say("nothing was pushed")
        raise typer.Exit(1)
    url = push_model(parcel.folder, to, parcel.names, parcel.card, private=private)
    say(f"pushed: {url}")
