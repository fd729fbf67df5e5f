"""What each kind of step does: read the folders of the steps before it, write its own."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tesuji.core.metric_log import MetricLog
from tesuji.core.progress import Named, Progress
from tesuji.evaluation.metrics import evaluation_metrics
from tesuji.evaluation.results import Evaluation
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.learners.zero import end_engines
from tesuji.pipeline.plan import Step
from tesuji.pipeline.step_context import StepContext
from tesuji.pipeline.steps.data import refuse_nothing, run_data, run_logs
from tesuji.pipeline.steps.evaluate import rows_limit, run_evaluation
from tesuji.pipeline.steps.rl import run_rl
from tesuji.pipeline.steps.train import run_training
from tesuji.recipe.schema.data import DataStage, LogsStage
from tesuji.recipe.schema.pairs import PairTraining, RewardStage
from tesuji.recipe.schema.recipe import EvaluationSection, Recipe
from tesuji.recipe.schema.rl import RLStage
from tesuji.recipe.schema.stages import SftStage

NO_LOOK = "not judged: a reward model scores replies and cannot play; the policy is as it was"


def run_step(
    step: Step, out: Path, context: StepContext, metrics: MetricLog, progress: Progress
) -> None:
    """Do one step into the folder `out`. Raises TesujiErrors."""
    with _memory_given_back():
        _run(step, out, context, metrics, progress)
        end_engines()
    progress.end()


def _run(
    step: Step, out: Path, context: StepContext, metrics: MetricLog, progress: Progress
) -> None:
    recipe, named = context.recipe_for(step), Named(step.name, progress)
    game = load_game(recipe.game.name, recipe.game.options)
    match step.section:
        case DataStage() as stage:
            refuse_nothing(recipe, step.name, run_data(stage, recipe, game, out, named))
        case LogsStage() as stage:
            refuse_nothing(recipe, step.name, run_logs(stage, recipe, out, named))
        case SftStage() | PairTraining() as stage:
            run_training(
                stage,
                name=step.name,
                recipe=recipe,
                game=game,
                source=context.model_source(step),
                data=context.data_of(step),
                out=out,
                metrics=metrics,
                progress=named,
            )
            if isinstance(stage, RewardStage) and recipe.evaluation.each_stage:
                named.say(NO_LOOK)
        case RLStage() as stage:
            run_rl(
                stage,
                name=step.name,
                recipe=recipe,
                game=game,
                source=context.model_source(step),
                reward_model=context.reward_model_of(step),
                critic=context.critic_of(step),
                out=out,
                metrics=metrics,
                progress=named,
            )
        case EvaluationSection() as section:
            result = _evaluation(section, step, recipe, game, out, context, progress)
            metrics.forget_after(step.name, -1)
            metrics.log(step.name, 0, evaluation_metrics(result))


@contextmanager
def _memory_given_back() -> Iterator[None]:
    """Behind it all is given back that models took inside: a Trainer, its model and its optimizer
    refer to each other, and would stand beside the next step's until Python happens to look for
    circles. What was there before is not looked through: libraries have half a million objects."""
    gc.freeze()
    try:
        yield
        if "torch" in sys.modules:
            from accelerate.utils import release_memory

            release_memory()
    finally:
        gc.unfreeze()


def _evaluation(
    section: EvaluationSection,
    step: Step,
    recipe: Recipe,
    game: Game,
    out: Path,
    context: StepContext,
    progress: Progress,
) -> Evaluation:
    return run_evaluation(
        section,
        label=f"after {step.model_from}" if step.model_from else "before",
        recipe=recipe,
        game=game,
        source=context.model_source(step),
        data=context.data_of(step),
        limit=rows_limit(section, recipe.stages.get(step.data_from)),
        run=context.run,
        out=out,
        progress=progress,
    )
