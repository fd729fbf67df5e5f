"""The recipes that come with Tesuji.

They lie in the checkout's `recipes/`, to which `src/tesuji/recipes` is a link, so that a wheel
carries them inside the package.
"""

from dataclasses import dataclass
from pathlib import Path

from tesuji.core.errors import RecipeError
from tesuji.recipe.reading.yaml_lines import read_yaml


@dataclass(frozen=True, slots=True)
class ShippedRecipe:
    """One recipe that comes with Tesuji. `name` is its path without the ending."""

    name: str
    path: Path
    description: str


def library_folder() -> Path:
    """Where the shipped recipes are. Raises RecipeError when the installation lacks them."""
    package = Path(__file__).resolve().parents[2]
    for folder in (package / "recipes", package.parents[1] / "recipes"):
        if folder.is_dir():  # the first is no folder where a checkout cannot hold links
            return folder.resolve()
    raise RecipeError("this installation has no recipes", hint="install tesuji again")


def shipped_recipes() -> list[ShippedRecipe]:
    """All shipped recipes, by name; files that begin with `_` are parts for others to include."""
    folder = library_folder()
    return [
        ShippedRecipe(
            name=path.relative_to(folder).with_suffix("").as_posix(),
            path=path,
            description=str(read_yaml(path)[0].get("description", "")),
        )
        for path in sorted(folder.rglob("*.yaml"))
        if not path.name.startswith("_")
    ]


def find_recipe(name: str) -> Path | None:
    """The file of a shipped recipe called `name` (`tictactoe/tiny`), if there is one."""
    folder = library_folder()
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml")]
    return folder / f"{name}.yaml" if name in names else None
