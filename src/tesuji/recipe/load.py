"""From a file, its includes and the overrides of a command line to a typed recipe.

    load_recipe("recipes/tictactoe/tiny.yaml", ["seed=2", "stages.sft.learning_rate=1e-2"])

Environment variables are for secrets only: none is ever put into a recipe, and a recipe that
holds something like a secret is refused.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tesuji.core.errors import RecipeError
from tesuji.recipe.library import find_recipe, shipped_recipes
from tesuji.recipe.overrides import apply_overrides, nearest
from tesuji.recipe.problems import place, recipe_error
from tesuji.recipe.schema import Recipe
from tesuji.recipe.yamlfile import KeyPath, read_yaml

SECRET_KEY = re.compile(r"(^|_)(token|api_?key|secret|password)$", re.IGNORECASE)
SECRET_VALUE = re.compile(r"^(hf_|sk-|ghp_|gho_|wandb_v1_|xox[bp]-)[A-Za-z0-9_-]{8,}$")


def load_recipe(source: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in a file, or the shipped one of that name, with `key=value` changes.

    Raises RecipeError that names every problem with its file, line and key.
    """
    path = recipe_path(source)
    merged, places = _with_includes(path, ())
    for touched in sorted(apply_overrides(merged, overrides), key=len, reverse=True):
        places = {key: at for key, at in places.items() if key[: len(touched)] != touched}
        places[touched] = "command line"
    _refuse_secrets(merged, (), places, str(path))
    try:
        return Recipe.model_validate(merged)
    except ValidationError as error:
        raise recipe_error(error, places, str(path)) from None


def dump_recipe(recipe: Recipe) -> str:
    """The resolved recipe as YAML, every default written out; loading it gives it back."""
    plain = recipe.model_dump(mode="json")
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)


def recipe_path(source: str | Path) -> Path:
    """The file meant by a path or by the name of a shipped recipe. Raises RecipeError."""
    path = Path(source)
    if path.is_file():
        return path
    shipped = find_recipe(str(source))
    if shipped is not None:
        return shipped
    if path.is_dir():
        raise RecipeError("this is a folder, not a recipe", where=str(source), hint=_files_in(path))
    names = [recipe.name for recipe in shipped_recipes()]
    wanted = str(source).removeprefix("recipes/").removesuffix(".yaml")
    raise RecipeError("no such recipe", where=str(source), hint=nearest(wanted, names))


def _files_in(folder: Path) -> str:
    found = sorted(path.name for path in folder.glob("*.yaml"))
    return f"it holds: {', '.join(found)}" if found else "`tesuji recipes` lists those that exist"


def _with_includes(
    path: Path, chain: tuple[Path, ...]
) -> tuple[dict[str, Any], dict[KeyPath, str]]:
    """A file merged over what it includes, and the place of every key."""
    if path.resolve() in chain:
        names = " → ".join(p.name for p in (*chain, path))
        raise RecipeError(f"includes go in a circle: {names}", where=str(path))
    own, lines = read_yaml(path)
    merged: dict[str, Any] = {}
    places: dict[KeyPath, str] = {}
    for name in _includes(own.pop("include", []), path, lines):
        other, other_places = _with_includes(name, (*chain, path.resolve()))
        _merge(merged, other)
        places |= other_places
    _merge(merged, own)
    return merged, places | {key: f"{path}:{line}" for key, line in lines.items()}


def _includes(value: Any, path: Path, lines: dict[KeyPath, int]) -> list[Path]:
    where = f"{path}:{lines.get(('include',), 1)}"
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RecipeError("include must be a file name or a list of them", where=where)
    found = [path.parent / name for name in names]
    for file in found:
        if not file.is_file():
            raise RecipeError(
                f"the included file {file} does not exist",
                where=where,
                hint="the name is relative to the including file",
            )
    return found


def _merge(below: dict[str, Any], above: dict[str, Any]) -> None:
    """Lay `above` over `below`, mapping by mapping; lists and values are replaced whole."""
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            _merge(below[key], value)
        else:
            below[key] = value


def _refuse_secrets(value: Any, path: KeyPath, places: dict[KeyPath, str], name: str) -> None:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            _refuse_secrets(inner, (*path, str(key)), places, name)
        return
    named = bool(path) and SECRET_KEY.search(path[-1]) and value not in (None, "")
    if isinstance(value, str) and (named or SECRET_VALUE.match(value)):
        raise RecipeError(
            "this looks like a secret; a recipe is copied into every run",
            where=f"{place(path, places, name)}: {'.'.join(path)}",
            hint="put it into an environment variable, such as HF_TOKEN or OPENAI_API_KEY",
        )
