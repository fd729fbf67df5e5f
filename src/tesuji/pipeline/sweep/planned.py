"""The runs of a sweep: every combination of its values as a recipe of its own, looked at by all
that `tesuji run` looks at, before any of them begins."""

import itertools
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tesuji.core.errors import RecipeError, TesujiError
from tesuji.core.progress import SILENT, Progress
from tesuji.core.run_folder import key_of
from tesuji.pipeline.run import prepare
from tesuji.pipeline.sweep.axes import Axis
from tesuji.recipe.schema.recipe import Recipe

LONGEST = 64  # letters of a run's name: a recipe's may have 80

Values = dict[str, str]  # key → value, as an override has them
Load = Callable[[Sequence[str]], Recipe]  # the sweep's recipe with these overrides


@dataclass(frozen=True, slots=True)
class Planned:
    """One run of a sweep. `values` are those that tell it from others, `recipe` is all of it;
    `left` of its steps are still to be done."""

    name: str
    values: Values
    recipe: Recipe
    left: int


def combinations(axes: Sequence[Axis], most: int) -> list[Values]:
    """Every combination of the axes' values, the last one's first. Raises RecipeError where they
    are more than `most`."""
    count = math.prod(len(axis.values) for axis in axes)
    if count > most:
        factors = " x ".join(str(len(axis.values)) for axis in axes if len(axis.values) > 1)
        raise RecipeError(
            f"{factors} values are {count:,} runs, and {most} are the most",
            where="command line",
            hint=f"fewer values, --most {count}, or a search: --trials N --metric NAME",
        )
    every = itertools.product(*(axis.values for axis in axes))
    return [dict(zip((axis.key for axis in axes), values, strict=True)) for values in every]


def one_at_a_time(axes: Sequence[Axis]) -> list[Values]:
    """Each axis's values while the others have their first."""
    first = {axis.key: axis.values[0] for axis in axes}
    others = [first | {axis.key: value} for axis in axes for value in axis.values[1:]]
    return [first, *others]


def planned(
    load: Load,
    every: Iterable[tuple[str, Values]],
    same: Sequence[str],
    folder: Path,
    progress: Progress = SILENT,
) -> list[Planned]:
    """The runs of these names and values, with the overrides that are the `same` in all of them.

    Nothing on disk changes. Raises the TesujiError of the first that is refused, with its name in
    front, and RecipeError where two of them come to the same recipe.
    """
    runs: list[Planned] = []
    seen: dict[str, str] = {}
    every = list(every)
    progress.begin("looking at the runs", len(every))
    for name, values in every:
        run = plan_one(load, name, values, same, folder)
        alike = key_of(run.recipe.model_copy(update={"name": "same"}).model_dump(mode="json"))
        if (other := seen.setdefault(alike, name)) != name:
            raise RecipeError(f"{other} and {name} are the same run", where="command line")
        runs.append(run)
        progress.advance()
    return runs


def plan_one(load: Load, name: str, values: Values, same: Sequence[str], folder: Path) -> Planned:
    """One run, looked at as `tesuji run` does before it begins. Raises as `planned` does."""
    changes = [*same, *(f"{key}={value}" for key, value in values.items()), f"name={name}"]
    try:
        recipe = load(changes)
        prepared, _, plan = prepare(recipe, folder)
    except TesujiError as error:
        error.where = f"{name}: {error.where}" if error.where else name
        raise
    return Planned(name, values, prepared, sum(step.decision != "skip" for step in plan))


def names_of(every: Sequence[Values]) -> list[str]:
    """A name for each run, from the values that differ: `learning_rate-1e-5--seed-2`."""
    keys = [key for key in every[0] if len({values[key] for values in every}) > 1] if every else []
    words = dict(zip(keys, short_keys(keys), strict=True))
    names = [in_one_name({words[key]: values[key] for key in keys}) for values in every]
    twice = {name for name in names if names.count(name) > 1}
    return [
        f"{name[: LONGEST - 7]}-{key_of(values)[:6]}" if name in twice else name
        for name, values in zip(names, every, strict=True)
    ]


def in_one_name(values: Values) -> str:
    """A folder's name that these words and values can be read from, cut where it is long."""
    name = "--".join(f"{plain(word)}-{plain(value)}" for word, value in values.items()) or "run"
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 7]}-{key_of(values)[:6]}"


def plain(text: str) -> str:
    """Letters, digits, dots and dashes only."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "none"


def short_keys(keys: Sequence[str]) -> list[str]:
    """The last part of each key; with as many before it as tell them apart."""

    def ends(key: str, parts: int) -> str:
        return ".".join(key.split(".")[-parts:])

    short = []
    for key in keys:
        depth = 1
        while [ends(one, depth) for one in keys].count(ends(key, depth)) > 1:
            depth += 1
        short.append(ends(key, depth))
    return short
