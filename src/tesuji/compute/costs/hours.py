"""What a run will take and cost on a rented machine: hours and dollars of each step.

The hours are those of an earlier run there, or of a formula (`pipeline/forecast/elsewhere.py`); the
machine is held from its setting up until its results are fetched.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tesuji.compute.base import Price, Wish
from tesuji.pipeline.forecast.elsewhere import Counted, Expected, counted, expected_on
from tesuji.pipeline.forecast.gpus import known_gpu
from tesuji.pipeline.forecast.measure import take_trees
from tesuji.pipeline.memory.kinds import machine_of
from tesuji.pipeline.memory.published import facts_of
from tesuji.pipeline.parts import part_of
from tesuji.pipeline.settings import settled
from tesuji.recipe.schema.recipe import Recipe

SET_UP = 300.0  # seconds: a machine, its image and packages
MACHINE = "machine"  # the kind of step that is no step of the recipe
DOWNLOAD = 2e8  # bytes a second, of a model's weights


@dataclass(frozen=True, slots=True)
class Bill:
    """What a run is expected to cost: its steps, and what the machine costs an hour."""

    steps: list[Expected]
    price: Price
    count: int

    @property
    def seconds(self) -> float:
        """Of all steps that are known."""
        return sum(step.seconds or 0.0 for step in self.steps)

    @property
    def unknown(self) -> list[str]:
        """The steps of which no time is known."""
        return [step.name for step in self.steps if step.seconds is None]

    def of_part(self, part: str) -> "Bill":
        """That of one part of the run: its steps, and the machine's setting up."""
        ours = [s for s in self.steps if s.kind == MACHINE or part_of(s.kind) == part]
        return replace(self, steps=ours)

    @property
    def bounds(self) -> tuple[float, float]:
        """Seconds at the least and at the most, as far as each step may be off."""
        known = [(step.seconds, step.factor) for step in self.steps if step.seconds is not None]
        return sum(s / f for s, f in known), sum(s * f for s, f in known)

    def plain(self) -> dict[str, Any]:
        """For other programs: seconds and dollars."""
        low, high = self.bounds
        return {
            "steps": [
                {
                    "step": step.name,
                    "kind": step.kind,
                    "seconds": step.seconds,
                    "gpus": self.count,
                    "dollars": None if step.seconds is None else self.price.cost(step.seconds),
                    "factor": step.factor,
                    "by": step.by,
                }
                for step in self.steps
            ],
            "price": {
                "dollars_per_hour": self.price.dollars_per_hour,
                "source": self.price.source,
                "date": self.price.date,
            },
            "seconds": self.seconds,
            "dollars": self.price.cost(self.seconds),
            "dollars_from_to": [self.price.cost(low), self.price.cost(high)],
            "not_known": self.unknown,
        }


def bill_of(
    recipe: Recipe, wish: Wish, price: Price, runs: Path, config: Path | None = None
) -> Bill:
    """What the recipe will take on the machine wished for. Raises EngineError where the GPU or the
    model's shape is not known."""
    known_gpu(wish.gpu)
    return bill_by(work_of(recipe, runs, config), wish, price)


def work_of(recipe: Recipe, runs: Path, config: Path | None = None) -> Counted:
    """What the recipe's steps have to do on a GPU. Raises EngineError where the model's shape is
    not known."""
    facts, _ = facts_of(recipe.model, config)
    recipe = settled(recipe, facts)
    dtype = machine_of(recipe.model, facts, "H100").dtype
    trees = recipe.model.attn_implementation == "sdpa" and take_trees(facts, dtype, "cpu")
    return counted(recipe, facts, runs, trees=trees)


def bill_by(work: Counted, wish: Wish, price: Price) -> Bill:
    """What this work will take on the machine wished for."""
    steps = expected_on(known_gpu(wish.gpu), wish.count, work)
    ready = SET_UP + 2.0 * work.facts.parameters / DOWNLOAD
    first = Expected("setting up", MACHINE, ready, 2.0, "taken to be 5 min, and the download")
    return Bill([first, *steps], price, wish.count)
