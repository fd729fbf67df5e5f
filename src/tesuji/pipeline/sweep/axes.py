"""The words of a sweep, `learning_rate=1e-5,3e-5 seed=1,2,3`, as keys with their values.

A key is one of `tesuji run` (`stages.sft.learning_rate`), or the end of one where only one key of
the stages, or of the whole recipe, ends so (`learning_rate`). Values stand between commas; a list
keeps its own.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tesuji.core.errors import RecipeError
from tesuji.recipe.reading.overrides import nearest
from tesuji.recipe.schema.recipe import Recipe

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
RANGE = re.compile(rf"({NUMBER}):({NUMBER})(:log)?")
OPENING, CLOSING = "[{(", "]})"
COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Axis:
    """A key and the values it takes, as they were written: one is the same in every run."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """A key and the bounds of its values, both among them. `log`: drawn evenly in the logarithm;
    `whole`: whole numbers only."""

    key: str
    low: float
    high: float
    log: bool
    whole: bool

    @property
    def ends(self) -> tuple[str, str]:
        """Both bounds, as an override has them."""
        return self.written(self.low), self.written(self.high)

    def written(self, value: float) -> str:
        """A value as an override has it."""
        return str(int(value)) if self.whole else repr(float(value))


def axes_of(words: Sequence[str], recipe: Recipe) -> tuple[list[Axis], list[Range]]:
    """The keys that `key=value` words set in this recipe. Raises RecipeError for a word that is
    none, a key that no one key of the recipe is, and values that are missing or there twice."""
    axes: list[Axis] = []
    ranges: list[Range] = []
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key.strip():
            hint = "write key=value, or key=value,value: seed=1,2,3"
            raise RecipeError(f"cannot read {word!r}", where=COMMAND_LINE, hint=hint)
        full = full_key(key.strip(), recipe, word)
        if full in [*(one.key for one in axes), *(one.key for one in ranges)]:
            hint = "give all its values at once, with commas"
            raise RecipeError(f"{full} is set twice", where=f"{COMMAND_LINE}: {word}", hint=hint)
        if found := RANGE.fullmatch(text.strip()):
            ranges.append(_range(full, found, word))
        else:
            axes.append(Axis(full, _values(text, word)))
    return axes, ranges


def full_key(key: str, recipe: Recipe, word: str) -> str:
    """The key of the recipe that is meant. Raises RecipeError where that is none, or several."""
    if "." in key or key in type(recipe).model_fields:
        return key
    known = list(_keys(recipe.model_dump(mode="json")))
    meant = [one for one in known if one.endswith(f".{key}")]
    meant = [one for one in meant if one.startswith("stages.")] or meant
    if len(meant) == 1:
        return meant[0]
    where = f"{COMMAND_LINE}: {word}"
    if meant:
        hint = f"say which: {', '.join(meant)}"
        raise RecipeError(f"{len(meant)} keys of the recipe end in {key!r}", where=where, hint=hint)
    ends = dict.fromkeys(one.rpartition(".")[2] for one in known)
    raise RecipeError(
        f"the recipe has no key {key!r}", where=where, hint=nearest(key, ends, known="")
    )


def _keys(value: Any, above: str = "") -> Iterator[str]:
    if not isinstance(value, dict):
        return
    for name, inner in value.items():
        yield f"{above}{name}"
        yield from _keys(inner, f"{above}{name}.")


def _range(key: str, found: re.Match[str], word: str) -> Range:
    low, high, log = found.groups()
    whole = all(re.fullmatch(r"[+-]?\d+", end) for end in (low, high))
    if float(low) >= float(high) or (log and float(low) <= 0):
        hint = "low:high, or low:high:log with a low above 0, such as 1e-6:1e-3:log"
        raise RecipeError("no range of values", where=f"{COMMAND_LINE}: {word}", hint=hint)
    return Range(key, float(low), float(high), bool(log), whole)


def _values(text: str, word: str) -> tuple[str, ...]:
    values = tuple(part.strip() for part in split_values(text))
    if len(values) > 1 and "" in values:
        hint = "one comma between two values"
        raise RecipeError("a value is missing", where=f"{COMMAND_LINE}: {word}", hint=hint)
    if len(set(values)) < len(values):
        hint = "each value once"
        raise RecipeError("a value stands twice", where=f"{COMMAND_LINE}: {word}", hint=hint)
    return values


def split_values(text: str) -> list[str]:
    """The parts between commas, but for commas inside brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in OPENING:
            depth += 1
        elif letter in CLOSING:
            depth -= 1
        if letter == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
