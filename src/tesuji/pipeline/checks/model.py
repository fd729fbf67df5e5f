"""What can be refused of a recipe's models before any weights are loaded."""

from pathlib import Path

from tesuji.core.errors import EngineError, RecipeError, placed
from tesuji.core.progress import SILENT, Progress
from tesuji.episodes.rewards.total import section_of
from tesuji.learners.model.inspect import ModelFacts, check_adapter, inspect_model
from tesuji.learners.model.sources import KNOWN
from tesuji.learners.reward_model.model import check_takes_head, is_reward_model
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import PpoStage, RLStage
from tesuji.recipe.schema.training import Training

LARGE = 20_000_000  # parameters; a model this large has been trained by somebody already
FASTEST = {False: 1e-3, True: 1e-2}  # learning rate that such a model survives; with LoRA
USUAL = {(False, False): 2e-5, (False, True): 2e-4, (True, False): 1e-6, (True, True): 1e-5}


def check_model(recipe: Recipe, progress: Progress = SILENT) -> ModelFacts | None:
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
    facts = inspect_model(recipe.model, base, progress)
    if facts is not None:
        check_adapter(facts, recipe.model)
        if any(stage.kind == "reward" for stage in recipe.stages.values()):
            check_takes_head(facts.config, recipe.model.base)
    for name, stage in recipe.stages.items():
        if isinstance(stage, RLStage):
            _check_beside(recipe, name, stage)
    _check_rates(recipe, facts)
    return facts


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


def _check_rates(recipe: Recipe, facts: ModelFacts | None) -> None:
    """Learning rates for a model from scratch would undo what a large one has learned."""
    if recipe.model.base == "tiny" or (facts is not None and facts.parameters < LARGE):
        return
    lora = recipe.model.lora is not None
    changes = []
    for name, stage in recipe.stages.items():
        if isinstance(stage, Training):
            changes += _slower(name, stage, lora)
    if not changes:
        return
    size = f" of {facts.parameters / 1e6:,.0f}M parameters" if facts else ""
    raise RecipeError(
        f"these settings are for a small model from scratch; {recipe.model.base} is a trained one"
        f"{size}, and would forget what it knows: {', '.join(key for key, _ in changes)}",
        where=changes[0][0],
        hint=f"write {' '.join(f'{key}={value}' for key, value in changes)}; look at max_length, "
        "prompt.style and sampling.max_new_tokens, too",
    )


def _slower(name: str, stage: Training, lora: bool) -> list[tuple[str, str]]:
    """(key, what to write) of what has to change."""
    rates = ["learning_rate"]
    if stage.optimizer == "muon" and stage.adamw_learning_rate is not None:
        rates.append("adamw_learning_rate")
    fast = [key for key in rates if getattr(stage, key) > FASTEST[lora]]
    if not fast:
        return []
    usual = f"{USUAL[isinstance(stage, RLStage), lora]:g}"
    changes = [(f"stages.{name}.{key}", usual) for key in fast]
    return changes + ([(f"stages.{name}.optimizer", "adamw")] if stage.optimizer == "muon" else [])
