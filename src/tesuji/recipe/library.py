"""The recipes that come with Tesuji.

They lie in the checkout's `recipes/`, to which `src/tesuji/recipes` is a link, so that a wheel
carries them inside the package.
"""

from dataclasses import dataclass
from pathlib import Path

from tesuji.core.errors import RecipeError
from tesuji.recipe.yamlfile import read_yaml


@dataclass(frozen=True, slots=True)
class ShippedRecipe:
    """One recipe that comes with Tesuji. `name` is its path without the ending."""

    name: str
    path: Path
    description: str


def library_folder() -> Path:
    """Where the shipped recipes are. Raises RecipeError when the installation lacks them."""
    folder = Path(__file__).resolve().parents[1] / "recipes"
    if not folder.is_dir():
        raise RecipeError("this installation has no recipes", hint="install tesuji again")
    return folder


def shipped_recipes() -> list[ShippedRecipe]:
    """All shipped recipes, by name."""
    folder = library_folder()
    return [
        ShippedRecipe(
            name=path.relative_to(folder).with_suffix("").as_posix(),
            path=path,
            description=str(read_yaml(path)[0].get("description", "")),
        )
        for path in sorted(folder.rglob("*.yaml"))
    ]


def find_recipe(name: str) -> Path | None:
    """The file of a shipped recipe called `name` (`tictactoe/tiny`), if there is one."""
    parts = Path(name).parts
    if not name or ".." in parts or Path(name).is_absolute():
        return None
    path = library_folder() / f"{name.removesuffix('.yaml')}.yaml"
    return path if path.is_file() else None
