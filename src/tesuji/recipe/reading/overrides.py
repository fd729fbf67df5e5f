"""`key=value` on the command line: dotted keys into a recipe, values read as YAML."""

from collections.abc import Iterable, Sequence
from typing import Any

from tesuji.core.errors import RecipeError, nearly
from tesuji.recipe.reading.yaml_lines import KeyPath, parse_yaml

# A bare name stands for a mapping with this key: `game: hex` is `game: {name: hex}`.
SHORTHANDS = {"game": "name", "oracle": "player"}


def apply_overrides(recipe: dict[str, Any], overrides: Sequence[str]) -> list[KeyPath]:
    """Set every override in the nested dict, in order; return the key paths that were set.

    Raises RecipeError for one that is not `key=value`, or that leads through something that has
    no keys.
    """
    touched = []
    for override in overrides:
        key, equals, text = override.partition("=")
        parts = tuple(part.strip() for part in key.split("."))
        if not equals or not all(parts):
            raise RecipeError(
                f"cannot read the override {override!r}",
                where="command line",
                hint="write key=value, e.g. seed=2 or stages.sft.learning_rate=1e-3",
            )
        _refuse_special(recipe, parts, override)
        _set(recipe, parts, parse_yaml(text, f"the override {key.strip()}")[0], override)
        touched.append(parts)
    return touched


def opened(value: Any, key: str) -> Any:
    """The mapping that a bare name at `key` is short for; any other value as it is."""
    if isinstance(value, str) and key in SHORTHANDS:
        return {SHORTHANDS[key]: value}
    return value


def _refuse_special(recipe: dict[str, Any], parts: KeyPath, override: str) -> None:
    """An include is for files, and a typing error must not add a stage."""
    if parts[0] == "include":
        raise RecipeError("include works in a recipe file only", where=f"command line: {override}")
    stages = recipe.get("stages")
    if parts[0] != "stages" or len(parts) < 3 or not isinstance(stages, dict):
        return
    if parts[1] not in stages:
        raise RecipeError(
            f"the recipe has no stage {parts[1]!r}",
            where=f"command line: {override}",
            hint=f"{nearest(parts[1], stages)} (stages.{parts[1]}={{}} adds one)",
        )


def _set(value: Any, parts: KeyPath, new: Any, override: str) -> None:
    *inner, last = parts
    for part in inner:
        value = _enter(value, part, override)
    if isinstance(value, list):
        value[_index(value, last, override)] = new
    elif new is None and inner == ["stages"]:
        value.pop(last, None)  # a stage of nothing is none
    else:
        value[last] = new


def _enter(value: Any, part: str, override: str) -> Any:
    """The container at `part`; made where there is none, and opened up where it is short."""
    if isinstance(value, list):
        index = _index(value, part, override)
        player = {"player": value[index]} if isinstance(value[index], str) else value[index]
        value[index] = _container(player, part, override)
        return value[index]
    value[part] = _container(opened(value.get(part), part), part, override)
    return value[part]


def _container(value: Any, part: str, override: str) -> Any:
    if value is None or value is False:
        return {}
    if isinstance(value, dict | list):
        return value
    raise RecipeError(
        f"{part!r} is {value!r} and has no keys below it",
        where=f"command line: {override}",
        hint=f"set {part} itself",
    )


def _index(value: list[Any], part: str, override: str) -> int:
    if part.isascii() and part.isdecimal() and len(part) < 6 and int(part) < len(value):
        return int(part)
    raise RecipeError(
        f"{part!r} is not an entry of a list of {len(value)}",
        where=f"command line: {override}",
        hint=f"use 0 to {len(value) - 1}" if value else "the list is empty",
    )


def nearest(word: str, candidates: Iterable[str], known: str = "known here: ") -> str:
    """A hint with the candidate most like `word`, or with all of them.

    `known` is put in front of the whole list; an empty one leaves the list out.
    """
    words = list(candidates)
    if near := nearly(word, words, most=5):
        return f"did you mean {', '.join(f'`{name}`' for name in near)}?"
    return f"{known}{', '.join(words)}" if known and words else ""
