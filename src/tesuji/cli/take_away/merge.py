"""`tesuji merge RUN`: a run's adapter and its base as one model."""

from pathlib import Path
from typing import Annotated

import typer

from tesuji.cli.console import loading, say

app = typer.Typer()


@app.command()
def merge(
    run: Annotated[str, typer.Argument(help="A run folder, or its name under runs/.")],
    stage: Annotated[str, typer.Option(help="Whose model; default: the last one trained.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="Folder; default: RUN/exports/STAGE-safetensors.")
    ] = None,
    outtype: Annotated[
        str, typer.Option(help="f32, bf16, f16; auto: as the base's weights are.")
    ] = "auto",
) -> None:
    """Merge a run's adapter into its base, and show that it is the same model."""
    loading("the model")
    from tesuji.pipeline.take_away import find_trained
    from tesuji.pipeline.take_away import merge as merge_adapter

    folder = merge_adapter(find_trained(run, stage), out, outtype, say)
    say(f"The model: {folder}")
