"""Read a run folder, whatever is there of it.

A run may be half finished or killed: what is missing or cannot be read is noted and not fatal.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tesuji.core.errors import DataError
from tesuji.core.files import read_json, read_jsonl, read_text
from tesuji.core.types import Episode
from tesuji.episodes.store import read_episodes
from tesuji.evaluation.results import Evaluation, load_evaluation

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StageSummary:
    """One stage folder. What it does not have is None or empty.

    `name` is the folder's (`02-sft`), `seconds` wall-clock, `reward` a reward model's evaluation,
    `rows` the lines of its data files.
    """

    name: str
    finished: bool
    seconds: float | None = None
    evaluation: Evaluation | None = None
    episodes: tuple[Episode, ...] = ()
    statistics: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    reward: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Everything a report says about a run. `notes` tells what is missing or unreadable."""

    path: Path
    name: str
    manifest: dict[str, Any]
    recipe: str
    metrics: tuple[dict[str, Any], ...]
    stages: tuple[StageSummary, ...]
    notes: tuple[str, ...]

    @property
    def looks(self) -> list[Evaluation]:
        """Every evaluation, in the order of the stages."""
        return [stage.evaluation for stage in self._evaluated()]

    @property
    def before(self) -> StageSummary | None:
        """The stage that evaluated the model before training."""
        return next((s for s in self._evaluated() if s.evaluation.label == "before"), None)

    @property
    def after(self) -> StageSummary | None:
        """The last stage that evaluated a trained model."""
        trained = [s for s in self._evaluated() if s.evaluation.label != "before"]
        return trained[-1] if trained else None

    def _evaluated(self) -> list[Any]:
        return [stage for stage in self.stages if stage.evaluation is not None]


def collect(run: Path) -> RunSummary:
    """Read the run folder. Raises DataError only when it is no run folder at all."""
    if not (run / "manifest.json").exists() and not (run / "stages").is_dir():
        hint = "a run folder holds manifest.json and stages/; `tesuji runs` lists them"
        raise DataError("this is not a run folder", where=str(run), hint=hint)
    notes: list[str] = []
    manifest = _object(run / "manifest.json", notes)
    folders = sorted(path for path in (run / "stages").glob("*") if path.is_dir())
    folders = [path for path in folders if "~" not in path.name]  # set aside: not this run's
    stages = tuple(_stage(folder, manifest, notes) for folder in folders)
    if not stages:
        notes.append("no stage has been run yet")
    return RunSummary(
        path=run,
        name=str(manifest.get("name") or run.resolve().name),
        manifest=manifest,
        recipe=_try(lambda: read_text(run / "recipe.yaml"), "", notes),
        metrics=_metrics(run / "metrics.jsonl", notes),
        stages=stages,
        notes=tuple(notes),
    )


def _metrics(path: Path, notes: list[str]) -> tuple[dict[str, Any], ...]:
    rows = (row for _, row in _whole_rows(lambda: read_jsonl(path), notes))
    return tuple(row for row in rows if isinstance(row, dict)) if path.exists() else ()


def _stage(folder: Path, manifest: dict[str, Any], notes: list[str]) -> StageSummary:
    finished = (folder / "done.json").exists()
    if not finished:
        notes.append(f"stage {folder.name} did not finish")
    return StageSummary(
        name=folder.name,
        finished=finished,
        seconds=_seconds(folder, manifest, notes),
        evaluation=_if_there(folder / "evaluation.json", load_evaluation, None, notes),
        episodes=_episodes(folder / "episodes.jsonl", notes),
        statistics=_object_if_there(folder / "dataset_statistics.json", notes),
        training=_object_if_there(folder / "training.json", notes),
        reward=_object_if_there(folder / "reward_evaluation.json", notes),
        rows={path.name: _count_lines(path) for path in sorted(folder.glob("*.jsonl"))},
    )


def _episodes(path: Path, notes: list[str]) -> tuple[Episode, ...]:
    return tuple(_whole_rows(lambda: read_episodes(path), notes)) if path.exists() else ()


def _seconds(folder: Path, manifest: dict[str, Any], notes: list[str]) -> float | None:
    """As done.json says it, else as the manifest does (by the folder's name or the stage's)."""
    entries = manifest.get("stages")
    entries = entries if isinstance(entries, dict) else {}
    known = entries.get(folder.name) or entries.get(folder.name.partition("-")[2])
    for source in (_object_if_there(folder / "done.json", notes), known):
        value = source.get("seconds") if isinstance(source, dict) else None
        if isinstance(value, int | float):
            return float(value)
    return None


def _try(read: Callable[[], T], otherwise: T, notes: list[str]) -> T:
    try:
        return read()
    except DataError as error:
        notes.append(f"{error.where}: {error.what}")
        return otherwise


def _whole_rows(read: Callable[[], Iterable[T]], notes: list[str]) -> Iterable[T]:
    """The rows up to the first that cannot be read."""
    try:
        yield from read()
    except DataError as error:
        notes.append(f"{error.where}: {error.what}")


def _if_there(path: Path, read: Callable[[Path], T], otherwise: T, notes: list[str]) -> T:
    return _try(lambda: read(path), otherwise, notes) if path.exists() else otherwise


def _object(path: Path, notes: list[str]) -> dict[str, Any]:
    value: Any = _try(lambda: read_json(path), {}, notes)
    return value if isinstance(value, dict) else {}


def _object_if_there(path: Path, notes: list[str]) -> dict[str, Any]:
    return _object(path, notes) if path.exists() else {}


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())
