"""Wrong recipes made from the schema: every key with values that cannot be, and with a typo.

Each is wrong by construction: a value of another type, beyond the bounds of its field, no member of
its choices, no number at all, or a key that no section has.
"""

import copy
import itertools
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.sections import Section
from tesuji.recipe.schema.stages import STAGES

Path = tuple[str | int, ...]
SHAPE = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 32,
}
DATA = {"kind": "data", "positions": "sampled", "num_positions": 12}
LEARNS = {"max_steps": 1, "batch_size": 2, "max_length": 32}
RL = {"max_steps": 1, "batch_size": 2, "rewards": {"returns": {"weight": 1.0}}}
STAGE = {  # a stage of each kind that takes a moment
    "data": DATA,
    "logs": {"kind": "logs", "make": {"kind": "poker", "games": 6}, "processes": 1},
    "sft": {"kind": "sft", **LEARNS},
    "dpo": {"kind": "dpo", **LEARNS},
    "reward": {"kind": "reward", **LEARNS},
    "grpo": {"kind": "grpo", **RL, "num_generations": 2},
    "ppo": {"kind": "ppo", **RL},
    "reinforce++": {"kind": "reinforce++", **RL},
}
FIRST = {"sft": DATA, "dpo": {**DATA, "pairs": "one"}, "reward": {**DATA, "pairs": "one"}}
ELEMENTS = {  # what stands in a list of sections, or in a section that is left out at first
    "curriculum": {"name": "easy"},
    "opponents": {"player": "random"},
    "sampled_by": {"player": "random"},
    "games": {"name": "tic_tac_toe"},
    "make": {"kind": "poker", "games": 6},
    "oracle": {"player": "minimax"},
    "game": {"name": "tic_tac_toe"},
}
HUGE = {int: 10**30, float: 1e300}


def base(kind: str = "sft") -> dict[str, Any]:
    """A small recipe that runs, with a stage of this kind, called `it`."""
    stages = {"first": FIRST[kind]} if kind in FIRST else {}
    return copy.deepcopy(
        {
            "name": "small",
            "game": {"name": "tic_tac_toe"},
            "model": {"tiny": SHAPE},
            "prompt": {"style": "compact", "answer": "id"},
            "sampling": {"max_new_tokens": 2},
            "stages": {**stages, "it": STAGE[kind]},
            "evaluation": {"opponents": [{"player": "random"}], "episodes": 1, "positions": 0,
                           "before": False},
        }
    )  # fmt: skip


def changed(plain: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """The recipe with one value set; what is missing on the way there is made."""
    plain = copy.deepcopy(plain)
    inner: Any = plain
    for part, following in itertools.pairwise(path):
        if isinstance(part, int):
            inner = inner[part]
            continue
        if inner.get(part) is None or (isinstance(following, int) and not inner[part]):
            made = dict(ELEMENTS.get(part, {}))
            inner[part] = [made] if isinstance(following, int) else made
        inner = inner[part]
    inner[path[-1]] = value
    return plain


def keys() -> Iterator[tuple[str, Path, type[Section], str]]:
    """(kind of the stage in the recipe, path of the section, section, key) of every key."""
    yield from (("sft", path, section, key) for path, section, key in _keys((), Recipe))
    for kind, stage in STAGES.items():
        yield from (
            (kind, path, section, key) for path, section, key in _keys(("stages", "it"), stage)
        )


def _keys(path: Path, section: type[Section]) -> Iterator[tuple[Path, type[Section], str]]:
    for key, field in section.model_fields.items():
        yield path, section, key
        for inner, listed in _sections(field.annotation):
            if key != "stages":
                at = "returns" if key == "rewards" else 0
                yield from _keys((*path, key, at) if listed else (*path, key), inner)


def _sections(annotation: Any, listed: bool = False) -> Iterator[tuple[type[Section], bool]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation, listed
        return
    for part in get_args(annotation):
        yield from _sections(part, listed or get_origin(annotation) in (list, dict))


def wrong_values(section: type[Section], key: str) -> Iterator[tuple[str, Any]]:
    """(what is wrong, the value) for one key."""
    field = section.model_fields[key]
    kinds = set(_kinds(field.annotation))
    if types.NoneType not in kinds and key not in NOTHING_IS_FINE:
        yield "nothing", None
    if kinds & {int, float}:
        yield from _wrong_numbers(field, int if int in kinds else float)
    elif bool in kinds:
        yield from [("a text", "maybe"), ("a number", 3), ("a list", [True])]
    elif Literal in kinds:
        yield from [("no choice", "nosuch"), ("a number", 7), ("a list", []), ("empty", "")]
        if list not in kinds:
            yield "a mapping", {"a": 1}
    elif list in kinds or dict in kinds:
        yield from [("a number", 3), ("true", True), ("a list of lists", [[[]]])]
    elif str in kinds:
        yield from [("a number", 3), ("true", True), ("a mapping", {"a": {"b": 1}})]
        if key not in EMPTY_IS_FINE:
            yield "empty", ""
    elif Section in kinds:
        yield from [("a number", 3), ("a list", [3]), ("true", True)]
        yield "an unknown key", {**ELEMENTS.get(key, {}), "nosuch_key": 1}
        if key not in ("game", "oracle"):
            yield "a text", "nosuch"


NOTHING_IS_FINE = {"report_to", "stages", "sampled_by", "kind"}
EMPTY_IS_FINE = {"description"}


def _kinds(annotation: Any) -> Iterator[Any]:
    """The kinds of value a key takes, `Literal` and `Section` among them."""
    origin = get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        for part in get_args(annotation):
            yield from _kinds(part)
    elif origin is typing.Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif origin is Literal:
        yield Literal
    elif origin in (list, dict):
        yield origin
    elif isinstance(annotation, type) and issubclass(annotation, Section):
        yield Section
    else:
        yield annotation


def _wrong_numbers(field: FieldInfo, kind: type) -> Iterator[tuple[str, Any]]:
    yield from [("a text", "much"), ("true", True), ("a list", [1]), ("a mapping", {"a": 1})]
    yield from [("not a number", float("nan")), ("infinite", float("inf"))]
    yield from [("a number as text", "'3'"), ("huge", HUGE[kind])]
    if kind is int:
        yield "a fraction", 1.5
    for bound in [*field.metadata, *_inner_metadata(field.annotation)]:
        yield from _beyond(bound, kind)


def _inner_metadata(annotation: Any) -> Iterator[Any]:
    for part in get_args(annotation):
        yield from getattr(part, "__metadata__", ())
        yield from _inner_metadata(part)


def _beyond(bound: Any, kind: type) -> Iterator[tuple[str, Any]]:
    step = 1 if kind is int else 0.001
    if isinstance(bound, annotated_types.Ge):
        yield "too small", bound.ge - step
    elif isinstance(bound, annotated_types.Gt):
        yield "too small", bound.gt
        yield "negative", bound.gt - 1
    elif isinstance(bound, annotated_types.Le):
        yield "too large", bound.le + step
    elif isinstance(bound, annotated_types.Lt):
        yield "too large", bound.lt
    elif isinstance(bound, FieldInfo):
        for one in bound.metadata:
            yield from _beyond(one, kind)


def misspelt(key: str) -> str:
    """The key with two letters changed round, or one more where they are alike."""
    for place in range(1, len(key) - 1):
        if key[place] != key[place + 1]:
            return key[:place] + key[place + 1] + key[place] + key[place + 2 :]
    return key + "x"
