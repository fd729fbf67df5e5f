"""`key=value` on the command line: dotted keys into a recipe, values read as YAML."""

import difflib
from collections.abc import Sequence
from typing import Any

from tesuji.core.errors import RecipeError
from tesuji.recipe.yamlfile import parse_yaml

# A bare name stands for a mapping with this key: `game: hex` is `game: {name: hex}`.
SHORTHANDS = {"game": "name", "oracle": "player"}


def apply_overrides(recipe: dict[str, Any], overrides: Sequence[str]) -> set[tuple[str, ...]]:
    """Set every override in the nested dict, in order; return the key paths that were set.

    Raises RecipeError for one that is not `key=value`, or that leads through something that has
    no keys.
    """
    touched = set()
    for override in overrides:
        key, equals, text = override.partition("=")
        parts = tuple(key.strip().split("."))
        if not equals or not all(parts):
            raise RecipeError(
                f"cannot read the override {override!r}",
                where="command line",
                hint="write key=value, e.g. seed=2 or stages.sft.learning_rate=1e-3",
            )
        _set(recipe, parts, parse_yaml(text, f"the override {key.strip()}")[0], override)
        touched.add(parts)
    return touched


def _set(value: Any, parts: tuple[str, ...], new: Any, override: str) -> None:
    *inner, last = parts
    for part in inner:
        value = _enter(value, part, override)
    if isinstance(value, list):
        value[_index(value, last, override)] = new
    else:
        value[last] = new


def _enter(value: Any, part: str, override: str) -> Any:
    """The container at `part`; made where there is none, and opened up where it is short."""
    if isinstance(value, list):
        index = _index(value, part, override)
        value[index] = _opened(value[index], "player", override, part)
        return value[index]
    value[part] = _opened(value.get(part), SHORTHANDS.get(part, ""), override, part)
    return value[part]


def _opened(value: Any, shorthand: str, override: str, part: str) -> Any:
    if value is None:
        return {}
    if isinstance(value, str) and shorthand:
        return {shorthand: value}
    if isinstance(value, dict | list):
        return value
    raise RecipeError(
        f"{part!r} is {value!r} and has no keys below it",
        where=f"command line: {override}",
        hint=f"set {part} itself",
    )


def _index(value: list[Any], part: str, override: str) -> int:
    if part.isdigit() and int(part) < len(value):
        return int(part)
    raise RecipeError(
        f"{part!r} is not an entry of a list of {len(value)}",
        where=f"command line: {override}",
        hint=f"use 0 to {len(value) - 1}" if value else "the list is empty",
    )


def nearest(word: str, known: Sequence[str]) -> str:
    """A hint with the known word most like `word`, or with all of them."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
