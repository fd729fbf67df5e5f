"""What a person is asked who makes a recipe of their own: the keys that matter first."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tesuji.recipe.reading.load import load_recipe, resolve
from tesuji.recipe.schema.recipe import EvaluationSection, Recipe
from tesuji.recipe.schema.sections import ModelSection, Section
from tesuji.recipe.schema.stages import STAGES

OF_A_STAGE = ("paths", "max_steps", "epochs", "batch_size", "learning_rate")
OF_EVALUATION = ("opponents", "episodes")
LOGGED = "prompts"  # the game of recipes that learn from logs: what they hold is played


@dataclass(frozen=True, slots=True)
class Question:
    """One key: what it is, and its value as one writes it after `key=`."""

    key: str
    help: str
    value: str


def questions(source: str | Path) -> list[Question]:
    """Those of a recipe: its name, seed, game and model, and of its stages and its evaluation the
    keys that it sets itself. Raises RecipeError as loading does."""
    recipe, values = load_recipe(source), resolve(source)
    return list(_questions(recipe, values))


def _questions(recipe: Recipe, values: dict[str, Any]) -> Iterator[Question]:
    yield _question(Recipe, "name", recipe.name)
    yield _question(Recipe, "seed", recipe.seed)
    if recipe.game.name != LOGGED:
        yield Question("game", _help(Recipe, "game"), recipe.game.name)
    yield _question(ModelSection, "base", recipe.model.base, "model.")
    for name, stage in recipe.stages.items():
        mine = values["stages"].get(name) or {}
        for key in OF_A_STAGE:
            if key in mine:
                yield _question(STAGES[stage.kind], key, mine[key], f"stages.{name}.")
    for key in OF_EVALUATION:
        if key in values.get("evaluation", {}):
            yield _question(EvaluationSection, key, values["evaluation"][key], "evaluation.")


def _question(section: type[Section], key: str, value: Any, before: str = "") -> Question:
    return Question(before + key, _help(section, key), _flow(value))


def _help(section: type[Section], key: str) -> str:
    return " ".join((section.model_fields[key].description or "").split())


def _flow(value: Any) -> str:
    """The value on one line of YAML."""
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_flow(item)}' for key, item in value.items())}}}"
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
