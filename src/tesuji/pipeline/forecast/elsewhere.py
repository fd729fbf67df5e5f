"""How long the steps of a recipe will take on a GPU that is not here.

What a step took there in an earlier run, or in a short one (`max_steps=20`, brought home by `tesuji
launch`), is taken as it was. Else a formula: the passes a forecast counts, at 6 operations a
parameter and token where all weights learn, 4 where an adapter does, 2 where it is read, by the
share of the data sheet's arithmetic that training is taken to reach (MFU); a pass of few tokens,
such as those that sample, takes the time to read all weights once; and every layer a while to be
started. Nothing of it was measured on a GPU: it may be several times off.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tesuji.core.errors import ComputeError
from tesuji.learners.model.inspect import ModelFacts
from tesuji.pipeline.checks.distributed import check_distributed
from tesuji.pipeline.earlier_runs import Platform, remembered
from tesuji.pipeline.forecast.forecast import MEASURED, REMEMBERED, works_of
from tesuji.pipeline.forecast.gpus import Gpu, gpu_of
from tesuji.pipeline.forecast.sample import SampledContext, samples_of
from tesuji.pipeline.forecast.work import Work
from tesuji.pipeline.plan import MAKES_DATA, Step, steps_of
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import PpoStage
from tesuji.recipe.schema.training import Training

MFU = 0.35  # of the data sheet's arithmetic, learning or reading prompts: what trainers report
STREAMED = 0.6  # of its bandwidth, where all weights are read for a few tokens
STARTED = 0.4e-3  # seconds a layer and pass, of kernels started one by one from Python
SHARED = 0.9  # of their number, how much faster several GPUs are
ROUGH = 4.0  # how many times more or less it may be
FORMULA = "formula"
IN_WORDS = (
    f"The formula takes learning to reach {MFU:.0%} of the data sheet's arithmetic (MFU), sampling "
    f"{STREAMED:.0%} of its bandwidth, and {1000 * STARTED:g} ms a layer and pass; it was never "
    f"held against a GPU: {ROUGH:g} times more or less."
)
PLAYED = 20.0  # seconds of play, at most


@dataclass(frozen=True, slots=True)
class Expected:
    """A step and its wall-clock seconds (None: not known), which may be `factor` times as many, or
    as few; `by` says how that is known."""

    name: str
    kind: str
    seconds: float | None
    factor: float
    by: str


@dataclass(frozen=True, slots=True)
class Counted:
    """A run's steps and what each has to do, wherever that is; `sampled` are the seconds here of
    those that read logs, `runs` the folder of earlier runs."""

    recipe: Recipe
    facts: ModelFacts
    runs: Path
    plan: list[Step]
    works: dict[str, Work | None]
    sampled: dict[str, float]


def counted(recipe: Recipe, facts: ModelFacts, runs: Path, *, trees: bool) -> Counted:
    """The work of every step. `trees`: the model reads trees. Nothing on disk changes."""
    with suppress(ComputeError):  # an engine that is not installed here may be there
        check_distributed(recipe)
    plan = steps_of(recipe)
    with samples_of(recipe, plan) as samples:
        context = SampledContext(recipe, runs / recipe.name, plan, samples)
        works = works_of(recipe, facts, context, plan, trees=trees, seconds=PLAYED)
    sampled = {n: s.seconds * s.times for n, s in samples.items() if not s.why}
    return Counted(recipe, facts, runs, plan, works, sampled)


def expected_on(gpu: Gpu, count: int, run: Counted) -> list[Expected]:
    """Every step of the run on `count` such GPUs."""
    formula = Formula(gpu, count, run.recipe, run.facts)
    known: dict[str, tuple[float, str] | None] = {}
    for step in run.plan:
        steps = work.steps if (work := run.works[step.name]) else None
        known[step.name] = remembered(run.recipe, step, run.runs, on_gpu(gpu, count), steps)
    return list(_each(run.plan, known, run.works, run.sampled, formula))


def on_gpu(gpu: Gpu, count: int) -> Platform:
    """A machine with so many such GPUs."""

    def has_them(platform: Any) -> bool:
        names = platform.get("gpus", []) if isinstance(platform, dict) else []
        return len(names) == count and all(gpu_of(name) == gpu for name in names)

    return has_them


def _each(
    plan: Sequence[Step],
    known: dict[str, tuple[float, str] | None],
    works: dict[str, Work | None],
    sampled: dict[str, float],
    formula: "Formula",
) -> Iterator[Expected]:
    for step in plan:
        work = works[step.name]
        if (took := known[step.name]) is not None:
            yield Expected(step.name, step.kind, took[0], REMEMBERED, f"what {took[1]} took there")
        elif step.name in sampled:
            by = "a few of its logs, on this machine"
            yield Expected(step.name, step.kind, sampled[step.name], MEASURED, by)
        elif isinstance(step.section, MAKES_DATA):
            yield Expected(step.name, step.kind, None, ROUGH, "it makes data: not counted")
        elif work is None or work.steps is None:
            yield Expected(step.name, step.kind, None, ROUGH, "its rows are not made yet")
        else:
            yield Expected(step.name, step.kind, formula(step, work), ROUGH, FORMULA)


@dataclass(frozen=True, slots=True)
class Formula:
    """Seconds of a step's work on some GPUs."""

    gpu: Gpu
    count: int
    recipe: Recipe
    facts: ModelFacts

    def __call__(self, step: Step, work: Work) -> float:
        """Of all its passes: those that learn, and play for that, are shared by all GPUs."""
        learns = isinstance(step.section, Training)
        shared = max(1.0, self.count * SHARED) if learns and self.count > 1 else 1.0
        flops = (4 if self.recipe.model.adapters else 6) + 2 * self._computed_twice(step)
        critic = 1 + (isinstance(step.section, PpoStage) and step.section.critic is not None)
        learn = sum(count * self.a_pass(size, flops, 3) for count, size in work.learn) * critic
        read = sum(count * self.a_pass(size, 2, 1) for count, size in work.read)
        return (work.steps or 0) * (learn + read) / shared + self.load

    def a_pass(self, tokens: float, flops: int, ways: int) -> float:
        """One pass over so many tokens, that starts every layer in so many `ways`."""
        size, layers = self.facts.parameters, self.facts.config.get_text_config().num_hidden_layers
        computed = flops * size * tokens / (self.gpu.teraflops * 1e12 * MFU)
        streamed = ways * size * self._width / (self.gpu.bandwidth * 1e9 * STREAMED)
        return float(max(computed, streamed) + ways * layers * STARTED)

    @property
    def load(self) -> float:
        """Of the weights, from a disk of 10^9 bytes a second, and what is imported before."""
        return 20.0 + self.facts.parameters * self._width / 1e9

    @property
    def _width(self) -> float:
        """Bytes of a weight."""
        return 0.55 if self.recipe.model.load_in_4bit else 4 if self.gpu.teraflops < 10 else 2

    def _computed_twice(self, step: Step) -> bool:
        return isinstance(step.section, Training) and step.section.gradient_checkpointing
