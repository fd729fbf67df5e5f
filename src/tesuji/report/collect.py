"""Read a run folder, whatever is there of it.

A run may be half finished or killed: what is missing or cannot be read is noted and not fatal.
"""

from collections.abc import Callable, Iterable, Iterator
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
    manifest = _object(run / "manifest.json", notes, needed=True)
    folders = sorted(path for path in (run / "stages").glob("*") if path.is_dir())
    folders = [path for path in folders if "~" not in path.name]  # set aside: not this run's
    stages = tuple(_stage(folder, manifest, notes) for folder in folders)
    if not stages:
        notes.append("no stage has been run yet")
    recipe = _read(run / "recipe.yaml", read_text, "", notes, needed=True)
    metrics = (row for _, row in _whole_rows(run / "metrics.jsonl", read_jsonl, notes))
    return RunSummary(
        path=run,
        name=str(manifest.get("name") or run.resolve().name),
        manifest=manifest,
        recipe=recipe,
        metrics=tuple(row for row in metrics if isinstance(row, dict)),
        stages=stages,
        notes=tuple(notes),
    )


def _stage(folder: Path, manifest: dict[str, Any], notes: list[str]) -> StageSummary:
    finished = (folder / "done.json").exists()
    if not finished:
        notes.append(f"stage {folder.name} did not finish")
    return StageSummary(
        name=folder.name,
        finished=finished,
        seconds=_seconds(folder, manifest, notes),
        evaluation=_read(folder / "evaluation.json", load_evaluation, None, notes),
        episodes=tuple(_whole_rows(folder / "episodes.jsonl", read_episodes, notes)),
        statistics=_object(folder / "dataset_statistics.json", notes),
        training=_object(folder / "training.json", notes),
        reward=_object(folder / "reward_evaluation.json", notes),
        rows={path.name: _count_lines(path) for path in sorted(folder.glob("*.jsonl"))},
    )


def _seconds(folder: Path, manifest: dict[str, Any], notes: list[str]) -> float | None:
    """As done.json says it, else as the manifest does (by the folder's name or the stage's)."""
    entries = mapping(manifest.get("stages"))
    known = entries.get(folder.name) or entries.get(folder.name.partition("-")[2])
    for source in (_object(folder / "done.json", notes), mapping(known)):
        if isinstance(value := source.get("seconds"), int | float):
            return float(value)
    return None


def _read(
    path: Path, read: Callable[[Path], T], otherwise: T, notes: list[str], *, needed: bool = False
) -> T:
    """What the file holds; `otherwise` where it is absent, which is noted if it is `needed`, or
    cannot be read."""
    try:
        return read(path) if needed or path.exists() else otherwise
    except DataError as error:
        notes.append(f"{error.where}: {error.what}")
        return otherwise


def _object(path: Path, notes: list[str], *, needed: bool = False) -> dict[str, Any]:
    return mapping(_read(path, read_json, {}, notes, needed=needed))


def mapping(value: Any) -> dict[str, Any]:
    """A part of a JSON file that should be an object; an empty one where it is none."""
    return value if isinstance(value, dict) else {}


def _whole_rows(path: Path, read: Callable[[Path], Iterable[T]], notes: list[str]) -> Iterator[T]:
    """The rows up to the first that cannot be read; none of a file that is not there."""
    try:
        yield from read(path) if path.exists() else ()
    except DataError as error:
        notes.append(f"{error.where}: {error.what}")


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())
