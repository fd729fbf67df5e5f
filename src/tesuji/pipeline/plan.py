"""From a recipe to the ordered steps of a run, and what is left to do of each.

A step's key is a hash of all it depends on: its own section, the game, the prompt, the seed and
the keys of the steps it reads from. Finished with the same key: skipped. Half done: resumed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tesuji.core.errors import DataError
from tesuji.core.run import StageFolder, key_of
from tesuji.recipe.data import DataStage
from tesuji.recipe.rl import RLStage
from tesuji.recipe.schema import Recipe
from tesuji.recipe.sections import Section
from tesuji.recipe.stages import SftStage

Decision = Literal["run", "resume", "skip"]
WHY: Mapping[str, tuple[Decision, str]] = {
    "absent": ("run", "not done yet"),
    "changed": ("run", "the recipe changed; the old results are kept beside it"),
    "half-done": ("resume", "was interrupted"),
    "done": ("skip", "done, and nothing it depends on has changed"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: `kind` is a stage's kind, or "evaluate".

    `section` is its part of the recipe; `model_from` and `data_from` name the steps whose results
    it reads ("" for the base model, or no data).
    """

    index: int
    name: str
    kind: str
    section: Section
    key: str
    model_from: str = ""
    data_from: str = ""
    decision: Decision = "run"
    why: str = ""

    def folder(self, run: Path) -> StageFolder:
        """Where this step's results are."""
        return StageFolder(run, self.index, self.name)


def make_plan(recipe: Recipe, run: Path) -> list[Step]:
    """The steps in order, each with its decision against what is in `run`.

    Raises DataError when the run folder holds something unreadable.
    """
    steps = _with_keys(recipe, _outline(recipe))
    return [_decided(step, run) for step in steps]


def _outline(recipe: Recipe) -> list[Step]:
    """Stages in recipe order; "before" stands in front of the first learner, "after" at the end."""
    steps: list[Step] = []
    model, data = "", ""
    for name, section in recipe.stages.items():
        if isinstance(section, DataStage):
            steps.append(_step(len(steps), name, "data", section))
            data = name
            continue
        if not model and recipe.evaluation.before:
            steps.append(_step(len(steps), "before", "evaluate", recipe.evaluation, "", data))
        steps.append(_step(len(steps), name, section.kind, section, model, data))
        model = name
    last = "after" if model else "before"
    steps.append(_step(len(steps), last, "evaluate", recipe.evaluation, model, data))
    return steps


def _step(
    index: int,
    name: str,
    kind: str,
    section: Section,
    model_from: str = "",
    data_from: str = "",
) -> Step:
    return Step(index, name, kind, section, "", model_from, data_from)


def _with_keys(recipe: Recipe, steps: list[Step]) -> list[Step]:
    keys: dict[str, str] = {"": ""}
    keyed = []
    for step in steps:
        shared = recipe.model_dump(mode="json", include=_needs(step) | {"game", "prompt", "seed"})
        own = step.section.model_dump(mode="json")
        reads = [keys[step.model_from], keys[step.data_from], _file_hash(step.section)]
        keys[step.name] = key_of(step.kind, own, shared, reads)
        keyed.append(replace(step, key=keys[step.name]))
    return keyed


def _needs(step: Step) -> set[str]:
    """The recipe's sections, beside its own, that a step's results depend on."""
    if isinstance(step.section, RLStage):
        return {"model", "sampling"} | ({"evaluation"} if step.section.eval_steps else set())
    return {"data": set(), "sft": {"model"}, "evaluate": {"model", "sampling"}}[step.kind]


def _file_hash(section: Section) -> str:
    """The content of a data file of the user's, so that an edited file is noticed."""
    if not isinstance(section, SftStage) or section.data is None:
        return ""
    try:
        return hashlib.sha256(Path(section.data).read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(
            f"cannot read {section.data}: {error.strerror or error}",
            where="stages.sft.data",
            hint="name a JSONL file with `prompt` and `completion` in every row",
        ) from error


def _decided(step: Step, run: Path) -> Step:
    decision, why = WHY[step.folder(run).status(step.key)]
    return replace(step, decision=decision, why=why)
