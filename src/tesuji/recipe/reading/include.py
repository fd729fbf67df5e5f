"""`include: other.yaml`: a recipe laid over the files it names, with the place of every key.

A recipe may be somebody else's: it includes what lies below its own folder and among the shipped
recipes, unless it is let include more, and all its files together have a limit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tesuji.core.errors import RecipeError
from tesuji.recipe.reading.overrides import opened
from tesuji.recipe.reading.shipped import library_folder
from tesuji.recipe.reading.yaml_lines import LARGEST, KeyPath, read_yaml

DEEPEST, MOST_FILES = 8, 50


@dataclass
class Includes:
    """What one recipe may include (`anywhere`, or below its own folder), and has included."""

    root: Path
    anywhere: bool = False
    files: int = 0
    size: int = 0

    def read(self, path: Path, where: str) -> tuple[dict[str, Any], dict[KeyPath, int]]:
        """A file's mapping and the lines of its keys. Raises RecipeError beyond the limits."""
        self.files += 1
        self.size += path.stat().st_size
        if self.files > MOST_FILES:
            what = f"more than {MOST_FILES} included files"
            raise RecipeError(what, where=where, hint="put some of them into one")
        if self.size > LARGEST and self.files > 1:
            what = f"the recipe and all it includes are larger than {LARGEST:,} bytes"
            raise RecipeError(what, where=where, hint="recipes hold settings; data lie in files")
        return read_yaml(path)

    def allow(self, file: Path, where: str) -> None:
        """Raise RecipeError for a file that lies where this recipe may not look."""
        folders = (self.root.resolve(), library_folder())
        if self.anywhere or any(file.resolve().is_relative_to(folder) for folder in folders):
            return
        raise RecipeError(
            f"the included file {file} lies outside the recipe's folder",
            where=where,
            hint="copy it beside the recipe; or, if you trust it, add --include-anywhere",
        )


def read_with_includes(
    path: Path, *, anywhere: bool = False
) -> tuple[dict[str, Any], dict[KeyPath, str]]:
    """A file merged over what it includes, and the place of every key.

    Mappings are merged key by key; lists and single values are replaced whole. Of several
    included files the later wins, and the including file wins over all. Raises RecipeError.
    """
    return _read(path, (), Includes(path.parent, anywhere), str(path))


def _read(
    path: Path, chain: tuple[Path, ...], includes: Includes, where: str
) -> tuple[dict[str, Any], dict[KeyPath, str]]:
    chain = (*chain, path)
    own, lines = includes.read(path, where)
    values: dict[str, Any] = {}
    places: dict[KeyPath, str] = {}
    line = f"{path}:{lines.get(('include',), 1)}"
    for name in _included(own.pop("include", []), chain, includes, line):
        other, other_places = _read(name, chain, includes, line)
        places = _laid_over(values, other, places) | other_places
    places = _laid_over(values, own, places)
    return values, places | {key: f"{path}:{line}" for key, line in lines.items()}


def _included(
    value: Any, chain: tuple[Path, ...], includes: Includes, where: str
) -> Iterator[Path]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RecipeError("include must be a file name or a list of them", where=where)
    for name in names:
        file = chain[-1].parent / name
        includes.allow(file, where)
        _check(file, chain, where)
        yield file


def _check(file: Path, chain: tuple[Path, ...], where: str) -> None:
    if not file.is_file():
        raise RecipeError(
            f"the included file {file} does not exist",
            where=where,
            hint="the name is relative to the including file",
        )
    names = " → ".join(path.name for path in (*chain, file))
    if file.resolve() in [path.resolve() for path in chain]:
        raise RecipeError(f"includes go in a circle: {names}", where=where)
    if len(chain) > DEEPEST:
        raise RecipeError(f"includes go deeper than {DEEPEST}: {names}", where=where)


def _laid_over(
    below: dict[str, Any], above: dict[str, Any], places: dict[KeyPath, str]
) -> dict[KeyPath, str]:
    """Lay `above` over `below`; the places of what was not replaced."""
    gone = set(_merge(below, above, ()))
    prefixes = ((place, (place[:length] for length in range(len(place) + 1))) for place in places)
    return {place: places[place] for place, above_it in prefixes if gone.isdisjoint(above_it)}


def _merge(below: dict[str, Any], above: dict[str, Any], path: KeyPath) -> Iterator[KeyPath]:
    """Lay `above` over `below`, and name what is replaced."""
    for key, value in above.items():
        old = opened(below.get(key), key)
        if isinstance(value, dict) and isinstance(old, dict):
            below[key] = old
            yield from _merge(old, value, (*path, key))
        else:
            if key in below:
                yield (*path, key)
            below[key] = value
