"""`tesuji export RUN --to safetensors|gguf`: a run's model for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from tesuji.cli.console import loading, say
from tesuji.core.errors import RecipeError, did_you_mean

FORMATS = ("safetensors", "gguf")
app = typer.Typer()


@app.command()
def export(
    run: Annotated[str, typer.Argument(help="A run folder, or its name under runs/.")],
    to: Annotated[
        str,
        typer.Option(
            "--to", help="safetensors (transformers, vLLM, ...) or gguf (llama.cpp, ...)."
        ),
    ],
    stage: Annotated[str, typer.Option(help="Whose model; default: the last one trained.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="Folder; default: RUN/exports/STAGE-FORMAT.")
    ] = None,
    outtype: Annotated[
        str, typer.Option(help="f32, f16, bf16, and q8_0 in GGUF; auto: the base's, in GGUF f16.")
    ] = "auto",
) -> None:
    """Write a run's model as one whole for other programs, with its card."""
    if to not in FORMATS:
        hint = f"{did_you_mean(to, FORMATS)}there are: {', '.join(FORMATS)}"
        raise RecipeError(f"there is no format {to!r}", where="--to", hint=hint)
    loading("the model")
    from tesuji.pipeline.take_away import export_gguf, export_safetensors, find_trained

    write = export_gguf if to == "gguf" else export_safetensors
    say(f"The model: {write(find_trained(run, stage), out, outtype, say)}")
