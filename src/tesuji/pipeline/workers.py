"""A run in several processes: the main one does as it does alone, and calls the others to help.

    lead(recipe, run)  ...  call(context, step)  ...  dismiss()     in the main process
    serve()                                                         in all others, until dismissed

Plan, data, report and whatever is written are the main process's. The others wait, and for every
step that learns or evaluates they do what it does, in the same order, on their shares of the
batches, matches and positions.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tesuji.core.metric_log import NoMetrics
from tesuji.core.progress import SILENT
from tesuji.learners.distributed import gathered, leave, process
from tesuji.learners.model.load import quiet_libraries
from tesuji.pipeline.plan import Step, steps_of
from tesuji.pipeline.step_context import StepContext
from tesuji.pipeline.steps.run_step import run_step
from tesuji.players.endpoint.budget import SPENDING, recorded_in
from tesuji.recipe.schema.recipe import EvaluationSection, Recipe
from tesuji.recipe.schema.training import Training

DISMISSED = ""


@dataclass(frozen=True)
class Served:
    """The run that this process has helped with."""

    recipe: Recipe
    run: Path
    plan: list[Step]


def lead(recipe: Recipe, run: Path) -> None:
    """Tell the others what is run, where."""
    _say((recipe.model_dump(mode="json"), str(run)))


def call(context: StepContext, step: Step) -> None:
    """Have the others do a step too, where it learns or evaluates; all that it reads is there."""
    if isinstance(step.section, Training | EvaluationSection):
        context.base_source()
        _say(step.name)


def dismiss() -> None:
    """The run is over."""
    if process()[1] > 1:
        _say(DISMISSED)
        leave()


def serve() -> Served:
    """Do what the main process calls for, until it has no more to do."""
    quiet_libraries()
    plain, folder = _hear()
    recipe, run = Recipe.model_validate(plain), Path(folder)
    plan = steps_of(recipe)
    context = StepContext(recipe, run, plan)
    with recorded_in(run / SPENDING):  # one budget for all processes
        while (name := _hear()) != DISMISSED:
            step = next(step for step in plan if step.name == name)
            run_step(step, step.folder(run).path, context, NoMetrics(), SILENT)
    leave()
    return Served(recipe, run, plan)


def _say(order: Any) -> None:
    gathered([order])


def _hear() -> Any:
    orders: list[Any] = gathered([])
    return orders[0]
