"""The recipe with every `auto` settled that a model decides: LoRA and the learning rates; and what
is to be said of the rates that stand in it.

    recipe = settled(recipe, inspect_model(recipe.model, recipe.model.base))

What depends on more than the model stays `auto` and is settled where it is used: `dtype` when a
model is loaded on some machine, `max_length` when a stage has its rows.
"""

from collections.abc import Iterator
from typing import Any

from tesuji.core.errors import RecipeError
from tesuji.learners.model.inspect import ModelFacts
from tesuji.learners.model.rules import FAST, FATAL, LORA, SLOW, Learner, learning_rate, muon_rate
from tesuji.learners.model.sources import base_of
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import RLStage
from tesuji.recipe.schema.training import Training


def settled(recipe: Recipe, facts: ModelFacts | None) -> Recipe:
    """The recipe with numbers for a model of which this is known (None: nothing here yet)."""
    model = recipe.model
    if model.lora == "auto":
        wanted = learner_of(recipe, facts).wants_lora or model.load_in_4bit
        adapter = base_of(model.base) is not None
        lora = LORA if wanted or adapter else None
        model = model.model_copy(update={"lora": lora})
    recipe = recipe.model_copy(update={"model": model})
    learner = learner_of(recipe, facts)
    stages = {
        name: _with_rates(stage, learner) if isinstance(stage, Training) else stage
        for name, stage in recipe.stages.items()
    }
    return recipe.model_copy(update={"stages": stages})


def learner_of(recipe: Recipe, facts: ModelFacts | None) -> Learner:
    """The recipe's model as the rules see it."""
    width = getattr(facts.config.get_text_config(), "hidden_size", None) if facts else None
    return Learner(
        base=recipe.model.base,
        parameters=facts.parameters if facts else None,
        width=width if isinstance(width, int) else None,
        lora=recipe.model.adapters is not None,
    )


def _with_rates(stage: Training, learner: Learner) -> Training:
    muon, rate = stage.optimizer == "muon", learning_rate(stage, learner)
    changes: dict[str, Any] = {}
    if stage.learning_rate == "auto":
        changes["learning_rate"] = muon_rate(rate, learner) if muon else rate
    beside = stage.adamw_learning_rate
    if muon and (beside == "auto" or (beside is None and changes)):
        changes["adamw_learning_rate"] = rate
    return stage.model_copy(update=changes)


def check_rates(recipe: Recipe, facts: ModelFacts | None) -> None:
    """Raise RecipeError where a stage's rate would undo what somebody has taught the model."""
    learner = learner_of(recipe, facts)
    if learner.from_scratch:
        return
    far = [one for one in _rates(recipe, learner) if one[1] > FAST * one[2]]
    if not any(rate > FATAL * rule for _, rate, rule in far):
        return
    size = f" of {learner.parameters / 1e6:,.0f}M parameters" if learner.parameters else ""
    raise RecipeError(
        f"these rates are for a small model from scratch; {recipe.model.base} is a trained one"
        f"{size}, and would forget what it knows: {', '.join(key for key, *_ in far)}",
        where=far[0][0],
        hint=f"write {' '.join(_instead(recipe, far))}",
    )


def _instead(recipe: Recipe, far: list[tuple[str, float, float]]) -> Iterator[str]:
    """What to write instead: rates with AdamW, for which the rules are, and the length of a row,
    which was for other tokens."""
    stages = dict.fromkeys(key.split(".")[1] for key, *_ in far)
    for name in stages:
        yield f"stages.{name}.learning_rate=auto"
        stage = recipe.stages[name]
        if isinstance(stage, Training) and stage.optimizer == "muon":
            yield f"stages.{name}.optimizer=adamw"
            if stage.adamw_learning_rate is not None:
                yield f"stages.{name}.adamw_learning_rate=null"
        if not isinstance(stage, RLStage) and getattr(stage, "max_length", "auto") != "auto":
            yield f"stages.{name}.max_length=auto"


def remarks(recipe: Recipe, facts: ModelFacts | None) -> list[str]:
    """Rates that are far from the rules, and what `auto` would be: too fast for a trained model,
    too slow for one that knows nothing."""
    learner, said = learner_of(recipe, facts), []
    for key, rate, rule in _rates(recipe, learner):
        if learner.from_scratch and rate * SLOW < rule:
            said.append(f"{key}={rate:g} is for a trained model: one from scratch hardly moves")
        elif not learner.from_scratch and rate > FAST * rule:
            said.append(f"{key}={rate:g} is fast for a trained model, which may forget")
        else:
            continue
        said[-1] += f" (usual: {rule:g})"
    return said


def _rates(recipe: Recipe, learner: Learner) -> Iterator[tuple[str, float, float]]:
    """(key, its value, AdamW's rate by the rule) of each that stands in a stage."""
    for name, stage in recipe.stages.items():
        if not isinstance(stage, Training):
            continue
        rule = learning_rate(stage, learner)
        for key in ("learning_rate", "adamw_learning_rate"):
            value = getattr(stage, key)
            if isinstance(value, float):
                yield f"stages.{name}.{key}", value, rule
