"""`tesuji estimate RECIPE`: how much memory a run takes, before there is a GPU for it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from tesuji.cli.console import console, say
from tesuji.core.errors import EngineError, did_you_mean

if TYPE_CHECKING:
    from tesuji.pipeline.memory.estimate import Phase
    from tesuji.recipe.schema.recipe import Recipe

app = typer.Typer()


@app.command()
def estimate(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped recipe.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes as key=value, as for `tesuji run`.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="So many share the work: distributed.processes.")
    ] = None,
    gpu: Annotated[
        str | None,
        typer.Option(help="A GPU such as H100, to see whether it fits; default: this machine."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="The model's config.json, where the model is not here.")
    ] = None,
    include_anywhere: Annotated[
        bool, typer.Option(help="Let the recipe include files outside its own folder.")
    ] = False,
    runs: Annotated[
        Path, typer.Option(help="Folder of run folders, for rows made already.")
    ] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")] = False,
) -> None:
    """Estimate the memory of each process (GPU) by stage, without loading weights."""
    from tesuji.cli.progress import Bar
    from tesuji.recipe.reading.load import load_with_places
    from tesuji.recipe.reading.problems import telling_places

    changes = [*(overrides or []), *([f"distributed.processes={processes}"] if processes else [])]
    told = (lambda text: None) if as_json else say
    loaded, places = load_with_places(recipe, changes, anywhere=include_anywhere, say=told)
    with telling_places(places, recipe), Bar() as bar:
        bar.begin("counting")
        size = _memory_of(gpu)
        from tesuji.learners.model.load import quiet_libraries
        from tesuji.pipeline.memory.estimate import estimate_recipe

        quiet_libraries()
        loaded, phases, words = estimate_recipe(loaded, runs, gpu=gpu, config=config)
    if as_json:
        print(json.dumps(_plain(phases, size), indent=2))
        return
    _print(loaded, phases, words, gpu, size)


def _memory_of(gpu: str | None) -> float:
    """Bytes; 0 where no GPU is named. Raises EngineError for one that is not known."""
    from tesuji.pipeline.memory.published import GPUS

    if gpu is None:
        return 0.0
    if gpu not in GPUS:
        hint = did_you_mean(gpu, GPUS) or f"one of {', '.join(GPUS)}"
        raise EngineError(f"no GPU {gpu!r} is known", where="--gpu", hint=hint)
    return GPUS[gpu] * 1e9


def _plain(phases: "list[Phase]", size: float) -> dict[str, Any]:
    from tesuji.pipeline.memory.advice import fits

    rows = [
        {
            "stage": one.stage,
            "phase": "sampling" if one.sampling else "update",
            "tokens_a_pass": one.tokens,
            "tokens_a_step": one.a_step,
            "bytes": {**one.parts, "total": one.total},
        }
        for one in phases
    ]
    return {"phases": rows, **({"gpu": fits(phases, size)} if size else {})}


def _print(
    recipe: "Recipe", phases: "list[Phase]", words: str, gpu: str | None, size: float
) -> None:
    from tesuji.pipeline.memory.advice import advice, fits

    section = recipe.distributed
    many = f"{section.processes} processes, {section.strategy}" if section else "one process"
    most = max(phases, key=lambda one: one.total)
    unit = "GB" if most.total >= 1e9 else "MB"
    say(f"Memory of {recipe.name} in {unit}, {'a GPU' if gpu else 'here'} ({many})")
    for start in range(0, len(phases), 4):
        console.print(_table(unit, phases[start : start + 4]))
    if words:
        say(f"{recipe.model.base}: {words}.")
    if unseen := [one.stage for one in phases if not one.seen and not one.sampling]:
        say(f"No rows or matches to look at: as long as the recipe allows, in {', '.join(unseen)}.")
    say(
        f"Most: {most.name}, of that {most.largest} {_size(most.parts[most.largest], unit)} {unit}."
    )
    if key := advice(most, recipe):
        say(f"To lower it: {key}")
    if gpu:
        say(
            f"{gpu}, {size / 1e9:.0f} GB: {fits(phases, size)} (15% more or less, 0.6 GB for CUDA)."
        )


def _size(count: float, unit: str) -> str:
    return f"{count / 1e9:,.2f}" if unit == "GB" else f"{count / 1e6:,.1f}"


def _table(unit: str, phases: "list[Phase]") -> Table:
    table = Table("part")
    for one in phases:
        table.add_column(one.name, justify="right")
    parts = dict.fromkeys(part for one in phases for part in one.parts)
    for part in parts:
        sizes = [one.parts.get(part, 0.0) for one in phases]
        if any(sizes):
            table.add_row(part, *(_size(each, unit) if each else "-" for each in sizes))
    table.add_section()
    table.add_row("total", *(_size(one.total, unit) for one in phases))
    table.add_row("tokens a pass", *(f"{one.tokens:,}" for one in phases))
    steps = (f"{one.a_step:,.0f}" if one.a_step else "-" for one in phases)
    table.add_row("tokens a step", *steps)
    return table
