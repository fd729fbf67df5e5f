"""The cases of `robustness.py`: those from the schema, and lists to which one line adds one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from _robustness_lists import LISTS
from _robustness_schema import STAGE, base, changed, keys, misspelt, wrong_values


@dataclass(frozen=True)
class Case:
    """One wrong thing. `prepare` fills an empty folder and gives the command line's words; `says`
    must stand in the answer. `while_running`: it cannot be known before it is asked for."""

    name: str
    prepare: Callable[[Path], list[str]]
    says: str = ""
    while_running: bool = False


def all_cases() -> list[Case]:
    """Every case, in the same order each time."""
    return [*_from_schema(), *(Case(*line) for line in LISTS)]


def sound_cases() -> list[Case]:
    """The recipes that all others are made from, unbroken: they have to be taken."""
    return [Case(f"sound: {kind}", _told(base(kind), ["--dry-run"])) for kind in STAGE]


def _from_schema() -> Iterator[Case]:
    for kind, path, section, key in keys():
        plain = base(kind)
        name = ".".join(map(str, (kind, *path, key)))
        for number, (what, value) in enumerate(wrong_values(section, key)):
            made = changed(plain, (*path, key), value)
            if number % 2 and what != "a number as text" and not isinstance(value, dict):
                words = _override((*path, key), value)
                yield Case(f"{name}: {what} (override)", _told(_written(plain, path), words), key)
            else:
                yield Case(f"{name}: {what}", _told(made), key)
        if path[:2] != ("stages", "it") or key != "kind":
            wrong = misspelt(key)
            yield Case(f"{name}: misspelt", _told(changed(plain, (*path, wrong), 1)), wrong)


def _written(plain: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    """The recipe with the section at `path` in it."""
    made = changed(plain, (*path, "x"), None)
    inner: Any = made
    for part in path:
        inner = inner[part]
    del inner["x"]
    return made


def _override(path: tuple[str | int, ...], value: Any) -> list[str]:
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000)
    return [f"{'.'.join(map(str, path))}={text.removesuffix('...' + chr(10)).strip()}"]


def _told(plain: dict[str, Any], words: list[str] | None = None) -> Callable[[Path], list[str]]:
    def prepare(folder: Path) -> list[str]:
        (folder / "recipe.yaml").write_text(yaml.safe_dump(plain, sort_keys=False))
        return ["run", "recipe.yaml", *(words or [])]

    return prepare
