"""How long a run will take, remembered from an earlier run that did the same here; else not known.

What it simplifies: no speed is measured beforehand, and no two machines are compared.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tesuji.core.errors import TesujiError
from tesuji.core.files import read_json
from tesuji.core.run_folder import RunFolder, machine
from tesuji.pipeline.plan import MAKES_DATA, Step
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.sections import Section

NEWEST = 20  # runs that are looked at
ALIKE = ("game", "prompt", "model", "sampling")  # sections that a step's pace depends on


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


def remembered(recipe: Recipe, step: Step, root: Path) -> tuple[float, str] | None:
    """(seconds that this one step will take, the run in `root` that this was read from)."""
    for earlier in _earlier(root):
        seconds = _seconds(step, earlier) if _alike(recipe, earlier.recipe) else None
        if seconds is not None:
            return seconds, earlier.path.name
    return None


def _earlier(root: Path) -> Iterator[Earlier]:
    """The newest runs that ran on a machine like this one, newest first; odd ones left out."""
    manifests = sorted(root.glob("*/manifest.json"), key=os.path.getmtime, reverse=True)
    for path in (manifest.parent for manifest in manifests[:NEWEST]):
        with suppress(TesujiError):
            manifest = RunFolder(path).manifest()
            if manifest.get("platform") == machine():
                yield Earlier(path, load_recipe(path / "recipe.yaml"), manifest["stages"])


def _alike(recipe: Recipe, other: Recipe) -> bool:
    same = all(getattr(recipe, name) == getattr(other, name) for name in ALIKE)
    return same and _data(recipe) == _data(other)


def _data(recipe: Recipe) -> dict[str, Section]:
    return {n: stage for n, stage in recipe.stages.items() if isinstance(stage, MAKES_DATA)}


def _seconds(step: Step, earlier: Earlier) -> float | None:
    """What the step took there; of a training of another length, its share by steps."""
    facts = earlier.steps.get(step.name, {})
    then: Section | None = earlier.recipe.stages.get(step.name)
    then = earlier.recipe.evaluation if step.kind == "evaluate" else then
    seconds = facts.get("seconds")
    if facts.get("status") != "done" or facts.get("resumed") or then is None or not seconds:
        return None
    if then == step.section:
        return float(seconds)
    wanted = getattr(step.section, "max_steps", -1)
    if wanted < 1 or then != step.section.model_copy(update={"max_steps": _steps(then)}):
        return None
    with suppress(TesujiError, KeyError, TypeError):
        done = read_json(earlier.path / f"training_summary_{step.name}.json")["steps"]
        early = done < _steps(then)  # it stopped before its last step, and would again
        return float(seconds) * (min(wanted, done) if early else wanted) / done
    return None


def _steps(section: Section) -> int:
    steps: int = getattr(section, "max_steps", -1)
    return steps
