"""What can be refused of the stages that make data, and of the files that others learn from."""

import os
from collections import deque
from pathlib import Path
from typing import Any

from tesuji.core.errors import DataError, RecipeError, did_you_mean
from tesuji.datasets.files import read_pairs, read_rows
from tesuji.episodes.cluster import check_installed
from tesuji.games.base import Game
from tesuji.logs.files import files
from tesuji.logs.registry import KINDS
from tesuji.players.endpoint.address import check_endpoint
from tesuji.recipe.schema.data import DataStage, LogsStage
from tesuji.recipe.schema.pairs import PairTraining
from tesuji.recipe.schema.stages import SftStage

RELATIVE = "the path is relative to the folder you start tesuji in"
LONG = 40  # moves; games of two seats that last longer have millions of positions


def check_logs(name: str, stage: LogsStage) -> None:
    """The logs are there, their format is known, the judge has an address. Raises RecipeError."""
    where = f"stages.{name}"
    if stage.format not in ("auto", *KINDS):
        raise RecipeError(
            f"there is no format {stage.format!r}",
            where=f"{where}.format",
            hint=f"{did_you_mean(stage.format, KINDS)}one of: auto, {', '.join(KINDS)}",
        )
    if stage.engine == "ray":
        check_installed(f"{where}.engine", "{engine: here}")
    for place, path in enumerate(stage.paths):
        _check_path(f"{where}.paths.{place}", path)
    if stage.pairs is not None:
        used = "judge" in stage.pairs.by
        check_endpoint(f"{where}.pairs.judge", stage.pairs.judge, used=used)


def _check_path(where: str, path: str) -> None:
    if not path or not Path(path).exists():
        raise RecipeError(f"no such file or folder: {path!r}", where=where, hint=RELATIVE)
    listed = [file for file, _ in files([Path(path)], Path("processed"))]
    readable = [file for file in listed if file.is_file() and os.access(file, os.R_OK)]
    if not any(file.stat().st_size for file in readable):
        what = "all its files are empty" if readable else "there is no file in it"
        raise RecipeError(
            f"nothing to read in {path}: {what}",
            where=where,
            hint="name a file or folder with logs in it",
        )


def check_positions(name: str, stage: DataStage, game: Game) -> None:
    """The positions can be listed, where all are wanted, and the endpoint has an address."""
    info, where = game.info, f"stages.{name}"
    if stage.positions != "sampled" and (
        info.chance or info.information != "perfect" or info.simultaneous
    ):
        raise RecipeError(
            f"the positions of {game.name} cannot be listed: it has chance, hidden information "
            "or simultaneous moves",
            where=f"{where}.positions",
            hint="use `positions: sampled`",
        )
    large = "two_sided" in info.traits and (info.max_moves or 0) > LONG
    if stage.positions != "sampled" and large and "enumerable" not in info.traits:
        raise RecipeError(
            f"{game.name} has too many positions to list them all",
            where=f"{where}.positions",
            hint="use `positions: sampled` with `num_positions`",
        )
    check_endpoint(f"{where}.endpoint", stage.endpoint, used=stage.thoughts == "llm")


def check_rows(
    name: str, stage: SftStage | PairTraining, rows: DataStage | LogsStage | None
) -> None:
    """There are rows, or pairs, to learn from. Raises RecipeError, or DataError naming file and
    line of a row that is none."""
    where = f"stages.{name}.data"
    if stage.data is not None:
        _check_file(where, stage)
        return
    if rows is None:
        raise RecipeError(
            "no rows to train on: there is no data stage before it",
            where=where,
            hint="put a `data:` stage in front, or name a JSONL file",
        )
    pairless = isinstance(rows, DataStage) and rows.pairs == "none"
    pairless = pairless or (isinstance(rows, LogsStage) and rows.pairs is None)
    if isinstance(stage, PairTraining) and pairless:
        raise RecipeError(
            "no pairs to learn from: the data stage before it makes none",
            where=where,
            hint="give it `pairs: one` or `pairs: all` (of logs: leave `pairs: null` out)",
        )


def _check_file(where: str, stage: SftStage | PairTraining) -> None:
    assert stage.data is not None
    path = Path(stage.data)
    if not path.is_file():
        raise RecipeError(f"no such file: {stage.data}", where=where, hint=RELATIVE)
    read: Any
    read, wanted = (
        (read_rows, "`prompt` and `completion`")
        if isinstance(stage, SftStage)
        else (read_pairs, "`prompt`, `chosen` and `rejected`")
    )
    hint = f"a JSON object a line, with {wanted}"
    try:
        last = deque(read(path), maxlen=1)
    except DataError as error:
        error.where = f"{where}: {error.where}"
        error.hint = error.hint or hint
        raise
    if not last:
        raise RecipeError(f"there is no row in {stage.data}", where=where, hint=hint)
