"""How long a run will take, remembered from an earlier run that did the same here; else not known.

A training of other steps takes what its own steps took there: by the times in the metric log, so
that what a short run needs to begin does not count with every step. What it simplifies: no speed is
measured beforehand, and no two machines are compared.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tesuji.core.errors import TesujiError
from tesuji.core.files import read_json, read_jsonl
from tesuji.core.run_folder import RunFolder, machine
from tesuji.pipeline.plan import MAKES_DATA, Step
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.sections import Section

NEWEST = 20  # runs that are looked at
ALIKE = ("game", "prompt", "model", "sampling")  # sections that a step's pace depends on
PACE = ("max_steps", "logging_steps", "save_steps", "save_total_limit", "warmup_steps",
        "critic_warmup_steps", "epochs")  # fmt: skip  # keys that a step's pace does not depend on

Platform = Callable[[Any], bool]  # whether a manifest's `platform` is the one that is asked for


@dataclass(frozen=True)
class Earlier:
    """A run that went before: its recipe, and what its manifest says of each of its steps."""

    path: Path
    recipe: Recipe
    steps: dict[str, Any]


def estimate(recipe: Recipe, plan: Sequence[Step], root: Path) -> tuple[float, str] | None:
    """(seconds that the steps left will take, the run in `root` that this was read from); None
    where no one run there did all of them, with the same settings on the same kind of machine."""
    left = [step for step in plan if step.decision != "skip"]
    for earlier in _earlier(root):
        if not _alike(recipe, earlier.recipe):
            continue
        seconds = [_seconds(step, earlier) for step in left]
        known = [one for one in seconds if one is not None]
        if len(known) == len(seconds):
            return sum(known), earlier.path.name
    return None


def here(platform: Any) -> bool:
    """A machine like this one."""
    return bool(platform == machine())


def remembered(
    recipe: Recipe,
    step: Step,
    root: Path,
    platform: Platform = here,
    steps: int | None = None,
) -> tuple[float, str] | None:
    """(seconds that this one step will take, the run in `root` that this was read from). `steps`:
    how many it has, where its section does not say."""
    for earlier in _earlier(root, platform):
        seconds = _seconds(step, earlier, steps) if _alike(recipe, earlier.recipe) else None
        if seconds is not None:
            return seconds, earlier.path.name
    return None


def _earlier(root: Path, platform: Platform = here) -> Iterator[Earlier]:
    """The newest runs that ran on such a machine, newest first; odd ones left out."""
    manifests = sorted(root.glob("*/manifest.json"), key=os.path.getmtime, reverse=True)
    for path in (manifest.parent for manifest in manifests[:NEWEST]):
        with suppress(TesujiError):
            manifest = RunFolder(path).manifest()
            if platform(manifest.get("platform")):
                yield Earlier(path, load_recipe(path / "recipe.yaml"), manifest["stages"])


def _alike(recipe: Recipe, other: Recipe) -> bool:
    same = all(getattr(recipe, name) == getattr(other, name) for name in ALIKE)
    return same and _data(recipe) == _data(other)


def _data(recipe: Recipe) -> dict[str, Section]:
    return {n: stage for n, stage in recipe.stages.items() if isinstance(stage, MAKES_DATA)}


def _seconds(step: Step, earlier: Earlier, steps: int | None = None) -> float | None:
    """What the step took there; of a training of another length, by what a step took."""
    facts = earlier.steps.get(step.name, {})
    then: Section | None = earlier.recipe.stages.get(step.name)
    then = earlier.recipe.evaluation if step.kind == "evaluate" else then
    seconds = facts.get("seconds")
    if facts.get("status") != "done" or facts.get("resumed") or then is None or not seconds:
        return None
    if then == step.section:
        return float(seconds)
    if type(then) is not type(step.section) or _without_pace(then) != _without_pace(step.section):
        return None
    wanted = _steps(step.section) if _steps(step.section) > 0 else steps or 0
    with suppress(TesujiError, KeyError, TypeError):
        done = read_json(earlier.path / f"training_summary_{step.name}.json")["steps"]
        early = done < _steps(then)  # it stopped before its last step, and would again
        wanted = min(wanted, done) if early else wanted
        pace = _pace(earlier.path, step.name) or float(seconds) / done
        took = float(seconds) + pace * (wanted - done)
        return took if wanted > 0 and took > 0 else None
    return None


def _without_pace(section: Section) -> dict[str, Any]:
    return section.model_dump(exclude=set(PACE))


def _pace(run: Path, stage: str) -> float | None:
    """Seconds of an optimizer step, between the first line of the metric log and the last."""
    times: dict[int, float] = {}
    with suppress(TesujiError):
        for _, line in read_jsonl(run / "metrics.jsonl"):
            if line["stage"] == stage and line["step"] > 0:
                times[line["step"]] = line["time"]
    if len(times) < 3:
        return None
    first, last = min(times), max(times)
    return float(times[last] - times[first]) / (last - first)


def _steps(section: Section) -> int:
    steps: int = getattr(section, "max_steps", -1)
    return steps
