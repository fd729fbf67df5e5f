"""`tesuji sky RECIPE`: a task file for SkyPilot, and the package that it ships."""

from pathlib import Path
from typing import Annotated

import typer

from tesuji.cli.console import say
from tesuji.cli.run.estimate import gpu_and_count

app = typer.Typer()


@app.command()
def sky(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped recipe.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes as key=value, as for `tesuji run`.")
    ] = None,
    gpu: Annotated[str, typer.Option(help="GPU as SkyPilot calls it, and how many: A100:2.")] = "",
    infra: Annotated[
        str, typer.Option(help="Cloud, and region: runpod, aws/us-east-1; default: the cheapest.")
    ] = "",
    cpus: Annotated[float, typer.Option(min=0, help="Cores, at least.")] = 0,
    memory: Annotated[float, typer.Option(min=0, help="GB, at least.")] = 0,
    disk: Annotated[float, typer.Option(min=0, help="GB.")] = 0,
    secret: Annotated[
        list[str] | None, typer.Option(help="A variable that `sky launch --secret` hands on.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder to write; default: sky/NAME.")
    ] = None,
) -> None:
    """Write a SkyPilot task for a recipe. Nothing is started, and SkyPilot need not be here."""
    from tesuji.compute.base import Wish
    from tesuji.compute.sky import write_task
    from tesuji.recipe.reading.load import load_recipe

    loaded = load_recipe(recipe, overrides or [])
    name, count = gpu_and_count(gpu)
    options = {"infra": infra} if infra else {}
    wish = Wish("sky", name, count, cpus, memory, disk, options=options)
    folder = out or Path("sky") / loaded.name
    path = write_task(loaded, wish, folder, Path(), secret or [])
    words = "".join(f" --secret {name}" for name in secret or [])
    say(f"{path}: cd {path.parent} && sky launch{words} -c {loaded.name} {path.name}")
    say(f"its results, afterwards: rsync -Pavz {loaded.name}:runs/{loaded.name} runs/")
