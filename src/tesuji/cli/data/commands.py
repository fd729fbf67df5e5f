"""`tesuji data`: read logs, make a data set, look at what is in one, give it away."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tesuji.cli.console import console
from tesuji.cli.data.import_logs import EPILOG, import_
from tesuji.cli.data.make_logs import make_logs
from tesuji.cli.data.statistics import card, push, stats

if TYPE_CHECKING:
    from tesuji.core.progress import Progress
    from tesuji.recipe.schema.data import DataStage, LogsStage
    from tesuji.recipe.schema.recipe import Recipe

NO_ROWS = ("episodes.jsonl", "quarantine.jsonl", "metrics.jsonl", "positions.jsonl",
           "prompts.jsonl", "held_out_prompts.jsonl")  # fmt: skip
app = typer.Typer(no_args_is_help=True)
app.command("import", epilog=EPILOG)(import_)
app.command("make-logs")(make_logs)
app.command()(stats)
app.command()(card)
app.command()(push)


@app.command()
def generate(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped recipe.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes as key=value, e.g. stages.data.moves=one.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write into.")] = Path("data"),
    stage: Annotated[str, typer.Option(help="Which stage; default: the first data stage.")] = "",
) -> None:
    """Make the rows of a data or logs stage, without training anything."""
    from tesuji.cli.progress import Bar
    from tesuji.recipe.reading.load import load_recipe

    loaded = load_recipe(recipe, overrides or [])
    section = _data_stage(loaded, stage)
    with Bar() as bar:
        _make(loaded, section, out, bar)
    stats(out)
    _print_rows(out / "train.jsonl", 3)


@app.command()
def show(
    file: Annotated[
        Path, typer.Argument(help="A JSONL file of rows or pairs, or a folder with train.jsonl.")
    ],
    number: Annotated[int, typer.Option("-n", "--number", min=1, help="How many rows.")] = 5,
) -> None:
    """Show the first rows of a data set as a model sees them."""
    _print_rows(_of_folder(file) if file.is_dir() else file, number)


def _of_folder(folder: Path) -> Path:
    """Its train.jsonl, or the only file of rows or pairs in it; all such files are listed."""
    from tesuji.cli.console import say
    from tesuji.core.errors import DataError

    files = sorted(path for path in folder.glob("*.jsonl") if path.name not in NO_ROWS)
    filled = [path for path in files if path.stat().st_size]
    if not filled:
        hint = "name a folder that `tesuji data generate` has written"
        if (folder / "episodes.jsonl").is_file():
            hint = f"these are episodes: tesuji replay {folder / 'episodes.jsonl'}"
        raise DataError("no rows or pairs in this folder", where=str(folder), hint=hint)
    for path in filled:
        say(f"{path}  {path.stat().st_size:,} bytes")
    chosen = next((path for path in filled if path.name == "train.jsonl"), filled[0])
    if chosen.name != "train.jsonl" and len(filled) > 1:
        raise DataError(
            "which of these files?", where=str(folder), hint=f"tesuji data show {chosen}"
        )
    say(f"the first rows of {chosen}:")
    return chosen


def _make(
    recipe: "Recipe", section: "DataStage | LogsStage", out: Path, progress: "Progress"
) -> dict[str, Any]:
    from tesuji.recipe.schema.data import LogsStage

    if isinstance(section, LogsStage):
        from tesuji.datasets.from_logs.stage import make_data_from_logs

        return make_data_from_logs(recipe, section, out, progress)
    from tesuji.datasets.from_positions.stage import make_data
    from tesuji.games.catalogue import load_game

    game = load_game(recipe.game.name, recipe.game.options)
    return make_data(recipe, section, game, out, progress)


def _data_stage(recipe: "Recipe", name: str) -> "DataStage | LogsStage":
    from tesuji.core.errors import RecipeError
    from tesuji.recipe.schema.data import DataStage, LogsStage

    both = (DataStage, LogsStage)
    stages = {key: stage for key, stage in recipe.stages.items() if isinstance(stage, both)}
    if name in stages or (not name and stages):
        return stages[name or next(iter(stages))]
    what = f"no data stage {name!r} in this recipe" if name else "this recipe has no data stage"
    known = ", ".join(stages)
    raise RecipeError(what, where="stages", hint=f"there are: {known}" if known else "add `data:`")


def _print_rows(file: Path, number: int) -> None:
    from itertools import islice

    from tesuji.core.redact import visible
    from tesuji.datasets.files import read_pairs, read_rows

    pairs = _holds_pairs(file)
    rows: list[Any] = list(islice(read_pairs(file) if pairs else read_rows(file), number))
    if not rows:
        console.print(f"no rows in {file}", markup=False, highlight=False)
    for index, row in enumerate(rows, start=1):
        console.rule(f"row {index}", align="left")
        for message in row.prompt:
            words = visible(f"{message['role']}: {message['content']}")
            console.print(words, markup=False, highlight=False, emoji=False)
        told = (
            (f"chosen → {row.chosen}", f"rejected → {row.rejected}")
            if pairs
            else (f"→ {row.reply}",)
        )
        for answer in map(visible, told):
            console.print(answer, style="bold", markup=False, highlight=False, emoji=False)


def _holds_pairs(file: Path) -> bool:
    """Whether the first row has a chosen and a rejected reply, and no reply of its own."""
    from tesuji.core.files import read_jsonl

    if file.suffix not in ("", ".jsonl"):
        return False
    row = next((value for _, value in read_jsonl(file)), None)
    return isinstance(row, dict) and {"chosen", "rejected"} <= row.keys()
