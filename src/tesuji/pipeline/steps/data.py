"""The steps that make data, and what other steps read of it."""

from pathlib import Path
from typing import Any

from tesuji.core.progress import Named
from tesuji.core.types import Example, Pair
from tesuji.datasets.files import read_pairs, read_rows
from tesuji.datasets.from_logs.stage import make_data_from_logs
from tesuji.datasets.from_positions.stage import make_data
from tesuji.pipeline.plan import Step
from tesuji.pipeline.step_context import Workbench
from tesuji.recipe.schema.data import DataStage, LogsStage
from tesuji.recipe.schema.pairs import PairTraining
from tesuji.recipe.schema.stages import SftStage


def run_data(step: Step, out: Path, bench: Workbench) -> None:
    """Positions of the game, labelled."""
    assert isinstance(step.section, DataStage)
    progress = Named(step.name, bench.progress)
    found = make_data(bench.recipe, step.section, bench.game, out, progress)
    pairs = f" and {found['train_pairs']:,} pairs" if "train_pairs" in found else ""
    progress.say(
        f"{found['positions']:,} positions, {found['train_rows']:,} rows{pairs} to "
        f"learn from, {found['held_out_positions']:,} positions held out"
    )


def run_logs(step: Step, out: Path, bench: Workbench) -> None:
    """Other people's logs, made into rows and pairs."""
    assert isinstance(step.section, LogsStage)
    progress = Named(step.name, bench.progress)
    found = make_data_from_logs(bench.recipe, step.section, out, progress)
    read, kept = found["imported"]["read"], found["imported"]["accepted"]
    progress.say(
        f"{kept:,} of {read:,} records taken; {found['train_rows']:,} rows and "
        f"{found['train_pairs']:,} pairs to learn from, {found['held_out_rows']:,} and "
        f"{found['held_out_pairs']:,} held out"
    )
    for warning in found["warnings"]:
        progress.say(warning)


def rows_for(step: Step, bench: Workbench) -> tuple[list[Example], list[Example]]:
    """(rows to learn from, held-out rows) of a supervised stage."""
    assert isinstance(step.section, SftStage)
    return _two(step, bench, step.section.data, "train.jsonl", "held_out.jsonl", read_rows)


def pairs_for(step: Step, bench: Workbench) -> tuple[list[Pair], list[Pair]]:
    """(pairs to learn from, held-out pairs) of a stage that learns from pairs."""
    assert isinstance(step.section, PairTraining)
    return _two(step, bench, step.section.data, "pairs.jsonl", "held_out_pairs.jsonl", read_pairs)


def held_out_of(step: Step, bench: Workbench) -> tuple[list[Example], list[Pair]]:
    """What the data stage before kept out of training; empty where there is none."""
    if not step.data_from:
        return [], []
    folder = bench.results_of(step.data_from)
    return _if_there(folder / "held_out.jsonl", read_rows), _if_there(
        folder / "held_out_pairs.jsonl", read_pairs
    )


def _two(
    step: Step, bench: Workbench, own: str | None, train: str, held_out: str, read: Any
) -> tuple[list[Any], list[Any]]:
    if own is not None:
        return list(read(Path(own))), []
    folder = bench.results_of(step.data_from)
    return list(read(folder / train)), _if_there(folder / held_out, read)


def _if_there(path: Path, read: Any) -> list[Any]:
    return list(read(path)) if path.exists() else []
