"""A run in parts, each for itself: making the data, training, evaluating.

A part does its own steps only, and finds in the run folder what the parts before it have left.
"""

from collections.abc import Sequence
from typing import Literal, get_args

from tesuji.core.errors import DataError, RecipeError, did_you_mean
from tesuji.pipeline.plan import Step

Part = Literal["preprocess", "train", "evaluate"]
PARTS: tuple[Part, ...] = get_args(Part)
OF_KIND: dict[str, Part] = {"data": "preprocess", "logs": "preprocess", "evaluate": "evaluate"}


def part_of(kind: str) -> Part:
    """The part that a step of this kind belongs to."""
    return OF_KIND.get(kind, "train")


def named_part(name: str) -> Part:
    """The part of that name. Raises RecipeError."""
    for part in PARTS:
        if part == name:
            return part
    hint = f"{did_you_mean(name, PARTS)}one of: {', '.join(PARTS)}"
    raise RecipeError(f"a run has no part {name!r}", where="--only", hint=hint)


def refuse_missing(plan: Sequence[Step], part: Part) -> None:
    """Raise DataError where a step of `part` reads what another part has not made yet, or where
    the recipe has no such step. `plan` has its decisions."""
    steps = {step.name: step for step in plan}
    ours = [step for step in plan if part_of(step.kind) == part]
    if not ours:
        raise DataError(f"this recipe has nothing to {part}", where="--only")
    for step in ours:
        for name in (step.data_from, step.model_from, step.reward_from):
            read = steps.get(name)
            if read is None or read.decision == "skip" or part_of(read.kind) == part:
                continue
            first = part_of(read.kind)
            raise DataError(
                f"{step.name} reads what {name} makes, and that is not there: {read.why}",
                where=f"--only {part}",
                hint=f"--only {first} comes first",
            )
