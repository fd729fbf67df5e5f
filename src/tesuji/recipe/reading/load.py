"""From a file, its includes and the overrides of a command line to a typed recipe.

    load_recipe("recipes/tictactoe/tiny.yaml", ["seed=2", "stages.sft.learning_rate=1e-2"])

Environment variables are for secrets only: none is ever put into a recipe, and a recipe that
holds something like a secret is refused.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tesuji.core.errors import RecipeError
from tesuji.recipe.reading.by_game import settle_overrides
from tesuji.recipe.reading.include import read_with_includes
from tesuji.recipe.reading.overrides import apply_overrides, nearest
from tesuji.recipe.reading.problems import recipe_error
from tesuji.recipe.reading.secrets import refuse_secrets
from tesuji.recipe.reading.shipped import find_recipe, shipped_recipes
from tesuji.recipe.reading.shortened import follow_steps, steps_of
from tesuji.recipe.reading.yaml_lines import Places, dump_yaml
from tesuji.recipe.schema.recipe import Recipe

COMMAND_LINE = "command line"


def load_recipe(source: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in a file, or the shipped one of that name, with `key=value` changes.

    Raises RecipeError that names every problem with its file, line and key.
    """
    return load_with_places(source, overrides)[0]


def load_with_places(
    source: str | Path,
    overrides: Sequence[str] = (),
    *,
    anywhere: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[Recipe, Places]:
    """As `load_recipe`, and the place of every key, for errors that are found later. `anywhere`:
    the recipe may include files outside its own folder. `say` is told what follows from an
    override beside what it sets."""
    values, places = _resolve(source, overrides, anywhere, say)
    try:
        return Recipe.model_validate(values), places
    except ValidationError as error:
        raise recipe_error(error, values, places, str(source)) from None


def resolve(source: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The plain values of a recipe, includes merged and overrides set, before any default."""
    return _resolve(source, overrides)[0]


def dump_recipe(recipe: Recipe) -> str:
    """The resolved recipe as YAML, every default written out; loading it gives it back."""
    return dump_yaml(recipe.model_dump(mode="json"))


def recipe_path(source: str | Path) -> Path:
    """The file meant by a path or by the name of a shipped recipe. Raises RecipeError."""
    path, name = Path(source), str(source)
    try:
        if path.is_file():
            return path
        shipped = find_recipe(name)
        if shipped is not None:
            return shipped
        if name and path.is_dir():
            raise _is_folder(path)
        beside = sorted(str(file) for file in path.parent.glob("*.yaml"))
    except (OSError, ValueError):  # too long a name, or a folder that may not be read
        beside = []
    wanted = name.removeprefix("recipes/").removesuffix(".yaml")
    names = [recipe.name for recipe in shipped_recipes()]
    hint = nearest(name, beside, known="") or nearest(wanted, names)
    raise RecipeError("no such recipe", where=name, hint=hint)


def _is_folder(path: Path) -> RecipeError:
    names = ", ".join(sorted(file.name for file in path.glob("*.yaml")))
    hint = f"it holds: {names}" if names else "`tesuji recipes` lists those that exist"
    return RecipeError("this is a folder, not a recipe", where=str(path), hint=hint)


def _resolve(
    source: str | Path,
    overrides: Sequence[str],
    anywhere: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[dict[str, Any], Places]:
    path = recipe_path(source)
    values, places = read_with_includes(path, anywhere=anywhere)
    steps = steps_of(values)
    changed = deepcopy(values)
    apply_overrides(changed, overrides)
    settle_overrides(values, changed, places)
    changes = apply_overrides(values, overrides)
    follow_steps(values, steps, changes, say)
    for touched in changes:
        made = {touched[: length + 1]: COMMAND_LINE for length in range(len(touched))}
        kept = {key: at for key, at in places.items() if key[: len(touched)] != touched}
        places = made | kept
    refuse_secrets(values, places, str(path))
    return values, places
