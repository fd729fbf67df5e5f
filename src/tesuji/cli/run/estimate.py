"""`tesuji estimate RECIPE`: memory, hours and dollars of a run, before there is a GPU."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from tesuji.cli.console import console, note, say
from tesuji.core.errors import EngineError

if TYPE_CHECKING:
    from tesuji.pipeline.memory.estimate import Phase
    from tesuji.recipe.reading.yaml_lines import Places
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
        typer.Option(
            help="A GPU such as H100, or H100:2, to see whether it fits; default: this machine."
        ),
    ] = None,
    on: Annotated[
        str,
        typer.Option(
            help="Time and cost on modal, runpod or ssh:user@host, too; `here`: time here."
        ),
    ] = "",
    cloud: Annotated[str, typer.Option(help="RunPod: SECURE or COMMUNITY.")] = "",
    calibrate: Annotated[
        int, typer.Option(min=0, help="Run so many steps of each stage here first: --on here.")
    ] = 0,
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
    """Estimate a run, without loading weights: memory of each process (GPU); time and cost."""
    from tesuji.cli.run import times
    from tesuji.recipe.reading.load import load_with_places

    changes = list(overrides or [])

    def load(more: Sequence[str] = (), *, quiet: bool = False) -> "tuple[Recipe, Places]":
        told = (lambda text: None) if as_json or more or quiet else say
        every = [*changes, *more]
        return load_with_places(recipe, every, anywhere=include_anywhere, say=told)

    name, count, wish = *gpu_and_count(gpu or ""), None
    if on not in ("", times.HERE):
        wish = times.wish_of(on, name, count, cloud, load(quiet=True)[0])
        name, count = wish.gpu, wish.count
    if processes := processes or (count if count > 1 else None):
        changes.append(f"distributed.processes={processes}")
    loaded, places = load()
    learned, phases, words, size = _memory(loaded, places, recipe, runs, name, config)
    if calibrate:
        times.calibrate(lambda more: load(more)[0], loaded, runs, calibrate)
    here = times.times_here(loaded, runs) if calibrate or on == times.HERE else []
    bill = times.bill(loaded, wish, runs, config) if wish else None
    if as_json:
        plain = {**_plain(phases, size), **({"here": times.plain_times(here)} if here else {})}
        print(json.dumps({**plain, **({"bill": bill.plain()} if bill else {})}, indent=2))
        return
    _print(learned, phases, words, name, size)
    if here:
        times.print_times(here)
    if bill and wish:
        times.print_bill(bill, wish)


def gpu_and_count(text: str) -> tuple[str, int]:
    """`A100-40GB:2` → ("A100-40GB", 2). Raises EngineError."""
    name, colon, count = text.rpartition(":")
    if not colon:
        return text, 1
    if not name or not count.isdecimal() or not 1 <= int(count) <= 64:
        hint = "such as A100-40GB, or A100-40GB:2"
        raise EngineError(f"{text!r} is no GPU and how many of them", where="--gpu", hint=hint)
    return name, int(count)


def _memory(
    loaded: "Recipe", places: "Places", recipe: str, runs: Path, gpu: str, config: Path | None
) -> "tuple[Recipe, list[Phase], str, float]":
    """The recipe settled, its phases, how its model is known, and the GPU's bytes (0: none)."""
    from tesuji.cli.progress import Bar
    from tesuji.recipe.reading.problems import telling_places

    with telling_places(places, recipe), Bar() as bar:
        bar.begin("counting")
        known, size = _memory_of(gpu)
        from tesuji.learners.model.load import quiet_libraries
        from tesuji.pipeline.memory.estimate import estimate_recipe

        quiet_libraries()
        return *estimate_recipe(loaded, runs, gpu=known, config=config), size


def _memory_of(gpu: str) -> tuple[str | None, float]:
    """Our name of a GPU, and its bytes; None and 0 where none is named. Raises EngineError for one
    that is not known."""
    if not gpu:
        return None, 0.0
    from tesuji.pipeline.forecast.gpus import known_gpu
    from tesuji.pipeline.memory.published import GPUS

    name = known_gpu(gpu).name
    return name, GPUS[name] * 1e9


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


def _print(recipe: "Recipe", phases: "list[Phase]", words: str, gpu: str, size: float) -> None:
    from tesuji.pipeline.memory.advice import advice, fits

    section = recipe.distributed
    many = f"{section.processes} processes, {section.strategy}" if section else "one process"
    most = max(phases, key=lambda one: one.total)
    unit = "GB" if most.total >= 1e9 else "MB"
    say(f"Memory of {recipe.name} in {unit}, {'a GPU' if gpu else 'here'} ({many})")
    for start in range(0, len(phases), 4):
        console.print(_table(unit, phases[start : start + 4]))
    if words:
        note(f"{recipe.model.base}: {words}.")
    if unseen := [one.stage for one in phases if not one.seen and not one.sampling]:
        note(
            f"No rows or matches to look at: as long as the recipe allows, in {', '.join(unseen)}."
        )
    note(
        f"Most: {most.name}, of that {most.largest} {_size(most.parts[most.largest], unit)} {unit}."
    )
    if key := advice(most, recipe):
        note(f"To lower it: {key}")
    if gpu:
        note(
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
