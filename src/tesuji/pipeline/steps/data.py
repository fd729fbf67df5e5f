"""The steps that make data, and what other steps read of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tesuji.core.errors import DataError
from tesuji.core.progress import Progress
from tesuji.core.types import Example, Pair
from tesuji.datasets.files import read_pairs, read_rows
from tesuji.datasets.from_logs.stage import make_data_from_logs
from tesuji.datasets.from_positions.stage import make_data
from tesuji.games.base import Game
from tesuji.recipe.schema.data import DataStage, LogsStage
from tesuji.recipe.schema.pairs import PairTraining
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.stages import SftStage


def run_data(
    stage: DataStage, recipe: Recipe, game: Game, out: Path, progress: Progress
) -> dict[str, Any]:
    """Positions of the game, labelled; their statistics."""
    stats = make_data(recipe, stage, game, out, progress)
    pairs = f" and {stats['train_pairs']:,} pairs" if "train_pairs" in stats else ""
    progress.say(
        f"{stats['positions']:,} positions, {stats['train_rows']:,} rows{pairs} to "
        f"learn from, {stats['held_out_positions']:,} positions held out"
    )
    return stats


def run_logs(stage: LogsStage, recipe: Recipe, out: Path, progress: Progress) -> dict[str, Any]:
    """Other people's logs, made into rows and pairs; their statistics."""
    if stage.make is not None and stage.played is None:
        progress.say("the logs named in `paths` are read; no games are played (`make`)")
    stats = make_data_from_logs(recipe, stage, out, progress)
    read, kept = stats["imported"]["read"], stats["imported"]["accepted"]
    progress.say(
        f"{kept:,} of {read:,} records taken; {stats['train_rows']:,} rows and "
        f"{stats['train_pairs']:,} pairs to learn from, {stats['held_out_rows']:,} and "
        f"{stats['held_out_pairs']:,} held out"
    )
    for warning in stats["warnings"]:
        progress.say(warning)
    return stats


def refuse_nothing(recipe: Recipe, name: str, stats: Mapping[str, Any]) -> None:
    """Raise DataError where a stage that learns from the data step `name` would find nothing,
    before those in front of it are trained."""
    names = list(recipe.stages)
    for later in names[names.index(name) + 1 :]:
        stage = recipe.stages[later]
        if isinstance(stage, DataStage | LogsStage):
            return
        if not isinstance(stage, SftStage | PairTraining) or stage.data is not None:
            continue
        what = "rows" if isinstance(stage, SftStage) else "pairs"
        if not stats.get(f"train_{what}"):
            raise DataError(
                f"stage {name} came to no {what}, and {later} learns from them",
                where=f"stages.{name}",
                hint=f"more logs, or other ways to select; or leave the stage out: "
                f"stages.{later}=null",
            )


def rows_for(stage: SftStage | PairTraining, data: Path | None) -> tuple[list[Any], list[Any]]:
    """(what to learn from, what is held out): examples for SFT, else pairs. They come from the
    folder `data`, or from the stage's own file, of which nothing is held out."""
    supervised = isinstance(stage, SftStage)
    read: Any = read_rows if supervised else read_pairs
    if stage.data is not None:
        return list(read(Path(stage.data))), []
    assert data is not None
    held_out = held_out_of(data)[not supervised]
    return list(read(data / ("train.jsonl" if supervised else "pairs.jsonl"))), list(held_out)


def held_out_of(data: Path) -> tuple[list[Example], list[Pair]]:
    """What the data step kept out of training; empty where it kept nothing."""
    return _if_there(data / "held_out.jsonl", read_rows), _if_there(
        data / "held_out_pairs.jsonl", read_pairs
    )


def _if_there(path: Path, read: Any) -> list[Any]:
    return list(read(path)) if path.exists() else []
