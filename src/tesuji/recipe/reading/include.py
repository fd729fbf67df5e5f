"""`include: other.yaml`: a recipe laid over the files it names, with the place of every key."""

from pathlib import Path
from typing import Any

from tesuji.core.errors import RecipeError
from tesuji.recipe.reading.overrides import opened
from tesuji.recipe.reading.yaml_lines import KeyPath, read_yaml

DEEPEST = 8


def read_with_includes(
    path: Path, chain: tuple[Path, ...] = ()
) -> tuple[dict[str, Any], dict[KeyPath, str]]:
    """A file merged over what it includes, and the place of every key.

    Mappings are merged key by key; lists and single values are replaced whole. Of several
    included files the later wins, and the including file wins over all. Raises RecipeError.
    """
    chain = (*chain, path)
    own, lines = read_yaml(path)
    values: dict[str, Any] = {}
    places: dict[KeyPath, str] = {}
    for name in _included(own.pop("include", []), chain, lines.get(("include",), 1)):
        other, other_places = read_with_includes(name, chain)
        _merge(values, other, places, ())
        places |= other_places
    _merge(values, own, places, ())
    return values, places | {key: f"{path}:{line}" for key, line in lines.items()}


def _included(value: Any, chain: tuple[Path, ...], line: int) -> list[Path]:
    where = f"{chain[-1]}:{line}"
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RecipeError("include must be a file name or a list of them", where=where)
    files = [chain[-1].parent / name for name in names]
    for file in files:
        _check(file, chain, where)
    return files


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


def _merge(
    below: dict[str, Any], above: dict[str, Any], places: dict[KeyPath, str], path: KeyPath
) -> None:
    """Lay `above` over `below`, and forget the places of what is replaced."""
    for key, value in above.items():
        old = opened(below.get(key), key)
        if isinstance(value, dict) and isinstance(old, dict):
            below[key] = old
            _merge(old, value, places, (*path, key))
        else:
            below[key] = value
            gone = (*path, key)
            for place in [place for place in places if place[: len(gone)] == gone]:
                del places[place]
