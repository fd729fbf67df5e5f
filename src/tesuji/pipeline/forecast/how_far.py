"""How far a run is, by what its folder says: stages done of those planned, the step of the one
under way, and how long that will still take. Nothing is raised: a folder that cannot be read is a
broken run, told in words."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeGuard

import yaml
from pydantic import ValidationError

from tesuji.core.errors import DataError, TesujiError
from tesuji.core.files import read_json, read_text
from tesuji.core.run_folder import RunFolder
from tesuji.pipeline.plan import outline
from tesuji.recipe.schema.recipe import Recipe
from tesuji.report.live.reader import last_rows
from tesuji.report.words import duration

State = Literal["running", "finished", "stopped", "broken"]
StageState = Literal["done", "running", "interrupted", "waiting"]
NO_METRIC = ("time", "stage", "step", "epoch", "num_tokens")
QUICK = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Stage:
    """One planned step; `seconds` where it is done."""

    name: str
    kind: str
    state: StageState
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class HowFar:
    """A run at this moment. `problem` says why it is broken; `recipe` is None where it cannot be
    read, and the stages are those begun."""

    state: State
    stages: tuple[Stage, ...] = ()
    recipe: Recipe | None = None
    created: str = ""
    problem: str = ""

    @property
    def done(self) -> int:
        """Stages that are done."""
        return sum(stage.state == "done" for stage in self.stages)

    @property
    def now(self) -> Stage | None:
        """The stage under way, or at which the run stopped."""
        begun = [stage for stage in self.stages if stage.state in ("running", "interrupted")]
        return begun[-1] if begun else None


@dataclass(frozen=True, slots=True)
class Pace:
    """The stage under way: its last logged step, of how many, seconds a step and seconds left; None
    where that is not known. `metrics` are what it logged last."""

    stage: str
    step: int
    steps: int | None
    rate: float | None
    left: float | None
    metrics: Mapping[str, float]


def how_far(run: Path, at_work: bool) -> HowFar:
    """Read the manifest and the recipe; `at_work`: somebody holds the folder."""
    try:
        manifest = RunFolder(run).manifest()
    except DataError as error:
        return HowFar("broken", problem=error.what)
    recipe = _recipe(run)
    begun: dict[str, Any] = manifest["stages"]
    names = [(step.name, step.kind) for step in outline(recipe)] if recipe else []
    stages = tuple(
        _stage(name, kind, begun.get(name, {}), at_work)
        for name, kind in names or [(name, "") for name in begun]
    )
    finished = bool(stages) and all(stage.state == "done" for stage in stages)
    state: State = "running" if at_work else "finished" if finished else "stopped"
    return HowFar(state, stages, recipe, str(manifest.get("created", "")))


def _recipe(run: Path) -> Recipe | None:
    """The resolved recipe of a run, which needs no includes and no places for errors."""
    file = run / "recipe.yaml"
    with suppress(TesujiError, yaml.YAMLError, ValidationError, RecursionError):
        if file.is_file():  # of a pipe the end may never come
            return Recipe.model_validate(yaml.load(read_text(file), QUICK))
    return None


def _stage(name: str, kind: str, facts: Mapping[str, Any], at_work: bool) -> Stage:
    seconds = facts.get("seconds")
    known = float(seconds) if _is_sound(seconds) else None
    if facts.get("status") == "done":
        return Stage(name, kind, "done", known)
    if facts.get("status") == "running":
        return Stage(name, kind, "running" if at_work else "interrupted")
    return Stage(name, kind, "waiting")


def pace(run: Path, far: HowFar) -> Pace | None:
    """Of the stage under way: where it is and what it still takes; None where it has logged
    nothing yet."""
    if far.now is None:
        return None
    name = far.now.name
    begun = _begun(run, name)
    rows = [row for row in last_rows(run / "metrics.jsonl") if row["stage"] == name]
    if not rows:
        return None
    step = max(row["step"] for row in rows)
    steps, rate = _steps(run, far, rows[-1]), _rate(rows, begun)
    late = time.time() - _time(rows[-1])
    running = far.now.state == "running" and steps is not None and rate is not None
    left = max(0.0, (steps - step) * rate - late) if running and steps and rate else None
    return Pace(name, step, steps, rate, left, _numbers(rows))


def _rate(rows: Sequence[Mapping[str, Any]], begun: float) -> float | None:
    """Seconds a step, over what was logged since the stage began or went on."""
    since = [row for row in rows if _time(row) >= begun]
    if len(since) < 2:
        return None
    first, last = since[0], since[-1]
    steps, seconds = last["step"] - first["step"], _time(last) - _time(first)
    return seconds / steps if steps > 0 and seconds > 0 else None


def _steps(run: Path, far: HowFar, row: Mapping[str, Any]) -> int | None:
    """How many steps the stage under way has: as its recipe says, as its newest checkpoint does, or
    by how many epochs are done."""
    section = far.recipe.stages.get(row["stage"]) if far.recipe else None
    if (most := getattr(section, "max_steps", -1)) > 0:
        return int(most)
    for state in (run / "stages").glob("*/checkpoints/*/trainer_state.json"):
        if state.parts[-4].partition("-")[2] == row["stage"]:
            with suppress(DataError, TypeError, KeyError):
                steps = read_json(state)["max_steps"]
                return int(steps) if _is_sound(steps) else None
    epoch, epochs = row.get("epoch"), getattr(section, "epochs", None)
    if _is_sound(epoch) and _is_sound(epochs) and epoch > 0:
        steps = row["step"] * epochs / epoch
        return round(steps) if _is_sound(steps) else None
    return None


def _begun(run: Path, stage: str) -> float:
    """When the stage began, or was last gone on with."""
    folders = [p for p in run.glob("stages/*") if p.name.partition("-")[2] == stage]
    with suppress(OSError, IndexError):
        return (folders[0] / "started.json").stat().st_mtime
    return 0.0


def _time(row: Mapping[str, Any]) -> float:
    value = row.get("time")
    return float(value) if _is_sound(value) else 0.0


def _is_sound(value: Any) -> TypeGuard[float]:
    """A number that can be reckoned with: not a million years, nor the steps of one."""
    return type(value) in (int, float) and 0 <= value < 1e13


def _numbers(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The last value of each metric."""
    last: dict[str, float] = {}
    for row in rows:
        for name, value in row.items():
            if name not in NO_METRIC and type(value) in (int, float):
                last[name] = value
    return last


def rate_words(rate: float) -> str:
    """`2.5 s a step`, `40 steps a second`."""
    return f"{duration(rate)} a step" if rate >= 1 else f"{1 / rate:.3g} steps a second"


def words(far: HowFar) -> str:
    """`running`, `finished`, `stopped after 2 of 4 stages`, `broken: ...`."""
    if far.state == "broken":
        return f"broken: {far.problem}"
    if far.state == "stopped":
        return f"stopped after {far.done} of {len(far.stages)} stages"
    return far.state
