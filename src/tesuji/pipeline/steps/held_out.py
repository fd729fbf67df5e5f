"""An evaluation's look at held-out rows: what the data stage before kept out of training."""

from tesuji.datasets.files import read_rows
from tesuji.evaluation.held_out.evaluate import decision_labels, evaluate_rows
from tesuji.evaluation.held_out.results import RowsScore
from tesuji.learners.model.load import Policy
from tesuji.pipeline.plan import Step
from tesuji.pipeline.step_context import Workbench
from tesuji.pipeline.steps.data import held_out_of
from tesuji.recipe.schema.data import LogsStage
from tesuji.recipe.schema.pairs import DpoStage
from tesuji.recipe.schema.recipe import EvaluationSection, Recipe

OF_LOGS = 200  # rows replied to, where the recipe does not say how many
LONGEST = 4096  # tokens of a row, where no stage says


def look_at_rows(
    step: Step, section: EvaluationSection, policy: Policy, bench: Workbench
) -> RowsScore | None:
    """What the model makes of the held-out rows; None where there are none, or none are asked
    for."""
    limit = _limit(step, section, bench)
    examples, pairs = held_out_of(step, bench) if limit else ([], [])
    if not examples and not pairs:
        return None
    recipe = bench.recipe
    sampling = recipe.sampling.model_copy(update={"temperature": section.temperature})
    return evaluate_rows(
        policy,
        examples=examples,
        pairs=pairs,
        training_labels=decision_labels(
            read_rows(bench.results_of(step.data_from) / "train.jsonl")
        ),
        prompt=recipe.prompt,
        sampling=sampling,
        max_length=_longest(recipe) or LONGEST,
        pair_length=_longest(recipe, DpoStage) or None,
        limit=limit,
        seed=recipe.seed,
        progress=bench.progress,
    )


def _limit(step: Step, section: EvaluationSection, bench: Workbench) -> int:
    if not step.data_from:
        return 0
    from_logs = isinstance(bench.recipe.stages[step.data_from], LogsStage)
    return section.rows if section.rows is not None else OF_LOGS if from_logs else 0


def _longest(recipe: Recipe, kind: type = object) -> int:
    """The longest row that a stage of this kind learns from; 0 where none says. All models are
    judged alike: by rows of the longest stage, by pairs as DPO judges them."""
    stages = [stage for stage in recipe.stages.values() if isinstance(stage, kind)]
    return max((getattr(stage, "max_length", 0) for stage in stages), default=0)
