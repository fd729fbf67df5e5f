"""What a run will take: steps, tokens, memory and minutes of each of its steps.

    for line in forecast(recipe, plan, Path("runs") / recipe.name): print(line)

A step that an earlier run here did alike takes what it took there; else it is counted in passes
(`work.py`) whose speed is measured (`measure.py`), all within some 15 seconds. The weights stay as
they are.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tesuji.core.errors import EngineError, TesujiError, first_line
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.games.prompts import NAME as PROMPTS
from tesuji.learners.model.inspect import ModelFacts, inspect_model
from tesuji.pipeline.earlier_runs import remembered
from tesuji.pipeline.forecast.measure import LENGTH, Made, Speed, guess, made, measure
from tesuji.pipeline.forecast.sample import SampledContext, samples_of
from tesuji.pipeline.forecast.work import Rows, Work, work_of
from tesuji.pipeline.plan import MAKES_DATA, Step
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.training import Training

REMEMBERED, MEASURED, GUESSED = 1.3, 2.5, 5.0  # how many times more or less it may be
PLAYED, MOST = 3.0, 13.0  # seconds: of play, and when nothing new is begun any more


@dataclass(frozen=True, slots=True)
class Forecast:
    """One step that is to be done. Seconds may be `factor` times as many, or as few; None and 0 say
    that it is not known. `memory` is in bytes; `by` says how this is known."""

    step: Step
    work: Work | None
    seconds: float | None
    memory: float
    factor: float
    by: str

    @property
    def time(self) -> str:
        """`12 min (5 to 30)`; a dash where it is not known."""
        if self.seconds is None:
            return "-"
        low, high = self.seconds / self.factor, self.seconds * self.factor
        if high < 120:
            return f"{self.seconds:.0f} s ({low:.0f} to {high:.0f})"
        return f"{self.seconds / 60:.0f} min ({low / 60:.0f} to {high / 60:.0f})"


def forecast(recipe: Recipe, plan: Sequence[Step], run: Path) -> list[Forecast]:
    """What is known of every step that is left. Nothing on disk changes."""
    ends = time.monotonic() + MOST
    left = [step for step in plan if step.decision != "skip"]
    known = {step.name: remembered(recipe, step, run.parent) for step in left}
    facts = inspect_model(recipe.model, recipe.model.base)
    model, why = _model(recipe, facts, left)
    with samples_of(recipe, [step for step in left if known[step.name] is None]) as samples:
        context = SampledContext(recipe, run, plan, samples)
        trees = model is not None and model.trees
        works = works_of(recipe, facts, context, left, trees=trees)
    speed, how, factor = _speed(model, left, works, ends) if model else (None, why, MEASURED)
    forecasts = []
    for step in left:
        work, memory = works[step.name], 0.0
        if known[step.name] is None and work and work.steps:
            known[step.name] = remembered(recipe, step, run.parent, steps=work.steps)
        if work and speed and isinstance(step.section, Training):
            memory = speed.memory(work.largest)
        if (took := known[step.name]) is not None:
            by = f"what {took[1]} took"
            forecasts.append(Forecast(step, work, took[0], memory, REMEMBERED, by))
            continue
        seconds = _seconds(work, speed) if work and speed else None
        by = how if work or facts is None else "its rows are not made yet"
        by = "it makes data" if isinstance(step.section, MAKES_DATA) else by
        if (sample := samples.get(step.name)) is not None:
            seconds = None if sample.why else sample.seconds * sample.times
            by = sample.why or "a few of its logs"
        off = MEASURED if sample else factor
        forecasts.append(Forecast(step, work, seconds, memory, off, by))
    return forecasts


def _model(
    recipe: Recipe, facts: ModelFacts | None, steps: Sequence[Step]
) -> tuple[Made | None, str]:
    """The model to measure with; None, and why, where there is none."""
    if facts is None:
        return None, f"{recipe.model.base} is not here yet"
    if all(isinstance(step.section, MAKES_DATA) for step in steps):
        return None, "nothing to measure"
    try:
        return made(recipe, facts), ""
    except Exception as error:  # of a foreign model's code, or memory: it is told when it is run
        return None, f"not measured: {first_line(error)}"


def works_of(
    recipe: Recipe,
    facts: ModelFacts | None,
    context: SampledContext,
    steps: Sequence[Step],
    *,
    trees: bool,
    seconds: float = PLAYED,
    every_game: bool = True,
) -> dict[str, Work | None]:
    """Each of the steps in passes, by name; None where nothing can be said. Matches are played for
    at most so many seconds; of stages with several games of the recipe's alone unless
    `every_game`."""
    ends = time.monotonic() + seconds
    works: dict[str, Work | None] = {}
    for step in steps:
        game, data = _game(context.recipe_for(step)), context.data_of(step)
        works[step.name] = None
        if facts is not None and game is not None:
            sample = context.samples.get(step.data_from)
            rows = Rows(data, sample.times if sample else 1.0)
            works[step.name] = work_of(
                step, recipe, game, facts, rows, trees=trees, ends=ends, every_game=every_game
            )
    return works


def _game(recipe: Recipe) -> Game | None:
    if recipe.game.name == PROMPTS and not Path(str(recipe.game.options.get("file", ""))).is_file():
        return None
    with suppress(TesujiError):
        return load_game(recipe.game.name, recipe.game.options)
    return None


def _speed(
    model: Made, steps: Sequence[Step], works: dict[str, Work | None], ends: float
) -> tuple[Speed | None, str, float]:
    """The model's speed, how it is known, and how many times faster or slower it may be."""
    stages = [step.section for step in steps if isinstance(step.section, Training)]
    sizes = [work.largest or work.computed for work in works.values() if work]
    if not sizes:
        return None, "nothing to measure", MEASURED
    try:
        length = int(min(LENGTH, max(sizes)))
        return *measure(model, stages[0] if stages else Training(), length, ends), MEASURED
    except EngineError:  # no time was left
        return guess(model), "guessed: no time to measure", GUESSED
    except Exception as error:  # as above
        return None, f"not measured: {first_line(error)}", MEASURED


def _seconds(work: Work, speed: Speed) -> float | None:
    if work.steps is None:
        return None
    step = sum(count * speed.learn(size) for count, size in work.learn)
    step += sum(count * speed.read(size) for count, size in work.read)
    return speed.load + work.steps * (step + (speed.optimizer if work.learn else 0.0))
