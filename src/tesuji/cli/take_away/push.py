"""`tesuji push RUN USER/NAME`: a run's model to the Hugging Face Hub."""

from typing import Annotated

import typer

from tesuji.cli.console import loading, say
from tesuji.cli.pushing import DryRun, Private, Yes, agreed

app = typer.Typer()


@app.command()
def push(
    run: Annotated[str, typer.Argument(help="A run folder, or its name under runs/.")],
    to: Annotated[str, typer.Argument(help="Where: USER/NAME on the Hugging Face Hub.")],
    stage: Annotated[str, typer.Option(help="Whose model; default: the last one trained.")] = "",
    merged: Annotated[
        bool, typer.Option("--merged", help="Merge the adapter into its base first.")
    ] = False,
    private: Private = True,
    dry_run: DryRun = False,
    yes: Yes = False,
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
    sizes = {name: parcel.size(name) for name in parcel.names}
    if agreed(sizes, str(parcel.folder), to, private=private, dry_run=dry_run, yes=yes):
        url = push_model(parcel.folder, to, parcel.names, parcel.card, private=private)
        say(f"pushed: {url}")
