"""What can be refused of a recipe's models before any weights are loaded."""

from pathlib import Path

from tesuji.core.errors import EngineError, RecipeError, placed
from tesuji.core.progress import SILENT, Progress
from tesuji.episodes.rewards.total import section_of
from tesuji.learners.model.adapter import refuse_head
from tesuji.learners.model.inspect import ModelFacts, check_adapter, inspect_model
from tesuji.learners.model.sources import KNOWN
from tesuji.learners.reward_model.model import check_takes_head, is_reward_model
from tesuji.pipeline.settings import check_rates
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import PpoStage, RLStage


def inspect_base(recipe: Recipe, progress: Progress = SILENT) -> ModelFacts | None:
    """What is known here of the recipe's model; None where it has to be downloaded first.

    Raises EngineError or RecipeError naming the key.
    """
    base, revision = recipe.model.base, recipe.model.revision
    if revision and (base in ("tiny", *KNOWN) or Path(base).exists()):
        raise RecipeError(
            f"a revision is of a Hub model, and {base} is none",
            where="model.revision",
            hint="leave it out",
        )
    return inspect_model(recipe.model, base, progress)


def check_model(recipe: Recipe, facts: ModelFacts | None) -> None:
    """The recipe fits its model, and so do the models beside it. Raises EngineError or RecipeError
    naming the key."""
    if facts is not None:
        check_adapter(facts, recipe.model)
        by_trl = any(stage.kind in ("sft", "dpo") for stage in recipe.stages.values())
        if recipe.model.adapters is not None and by_trl:
            refuse_head(facts.shape)
        if any(stage.kind == "reward" for stage in recipe.stages.values()):
            check_takes_head(facts.config, recipe.model.base)
    for name, stage in recipe.stages.items():
        if isinstance(stage, RLStage):
            _check_beside(recipe, name, stage)
    check_rates(recipe, facts)


def _check_beside(recipe: Recipe, name: str, stage: RLStage) -> None:
    """The critic and the reward model of a stage, where they are folders or Hub models."""
    critic = stage.critic if isinstance(stage, PpoStage) else None
    if critic not in (None, "base", "reward_model"):
        _inspect(recipe, str(critic), f"stages.{name}.critic")
    term = section_of(stage.rewards, "reward_model")
    path = term.options.get("path") if term else None
    if path is None:
        return
    where = f"stages.{name}.rewards.reward_model.path"
    if not isinstance(path, str) or not path:
        raise RecipeError(f"path must be a folder, not {path!r}", where=where)
    if Path(path).exists() and not is_reward_model(path):
        hint = "name the `final` folder of a reward stage"
        raise EngineError(f"no reward model in {path}", where=where, hint=hint)
    _inspect(recipe, path, where)


def _inspect(recipe: Recipe, source: str, where: str) -> None:
    with placed(where):
        inspect_model(recipe.model, source)
