"""`model.overrides`: another model for some games, in one recipe for many.

    model:
      base: Qwen/Qwen2.5-1.5B-Instruct
      overrides:
        vf-wordle: Qwen/Qwen2.5-0.5B-Instruct
        bfcl: {base: Qwen/Qwen2.5-3B-Instruct, load_in_4bit: true}

It is settled when a recipe is read, and stands in no recipe that was. A command line's `model.base`
still has the last word.
"""

from collections.abc import Mapping
from typing import Any

from tesuji.core.errors import RecipeError, did_you_mean
from tesuji.recipe.reading.overrides import opened
from tesuji.recipe.reading.yaml_lines import KeyPath
from tesuji.recipe.schema.sections import ModelSection

KEY = "overrides"


def settle_overrides(
    values: dict[str, Any], changed: Mapping[str, Any], places: Mapping[KeyPath, str]
) -> None:
    """Lay the model section of the game over `values`, and take `model.overrides` out. `changed` is
    the recipe with the command line's changes, which may be of the game. Raises RecipeError."""
    model = values.get("model")
    if not isinstance(model, dict) or not isinstance(model.get(KEY), dict):
        return
    by_game = model.pop(KEY)
    for game, section in by_game.items():
        where = places.get(("model", KEY, game), "model.overrides")
        _refuse_unknown(game, section, where)
    game = opened(changed.get("game"), "game")
    name = game.get("name") if isinstance(game, dict) else None
    found = by_game.get(name)
    model |= {"base": found} if isinstance(found, str) else found or {}


def _refuse_unknown(game: str, section: Any, where: str) -> None:
    if isinstance(section, str):
        return
    if not isinstance(section, dict):
        raise RecipeError(f"model.overrides.{game} is a model's name or keys of it", where=where)
    known = [key for key in ModelSection.model_fields if key != KEY]
    for key in section:
        if key not in known:
            hint = f"{did_you_mean(str(key), known)}known: {', '.join(known)}"
            what = f"model.overrides.{game}: a model has no {key!r}"
            raise RecipeError(what, where=where, hint=hint)
