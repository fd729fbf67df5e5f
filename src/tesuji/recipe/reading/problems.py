"""What pydantic found wrong, in words a person can act on: where, what, and what to do."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tesuji.core.errors import RecipeError, TesujiError
from tesuji.recipe.reading.overrides import nearest
from tesuji.recipe.reading.yaml_lines import KeyPath, Places
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.sections import Section, sections_in
from tesuji.recipe.schema.stages import STAGES

TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "a text",
    "list": "a list",
    "dict": "a mapping of keys",
    "model": "a mapping of keys",
}
SCALARS = ("int", "float", "bool", "str", "constrained-str", "constrained-int", "constrained-float")
OR_A_WORD = {"LoraSection"}  # sections in whose place `auto` may stand
SHORT = {"RewardTerm": "a number (its weight) or a mapping of keys"}
MOST_HOMES = 4
LIMITS = {
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length}",
    "too_long": "must have at most {max_length}",
    "string_too_short": "must not be empty",  # all that we ask for
    "string_too_long": "must not be longer than {max_length} letters",
    "string_pattern_mismatch": "must be letters, digits, `.`, `_` and `-`, first a letter or digit",
}


def recipe_error(
    error: ValidationError, values: Mapping[str, Any], places: Places, name: str
) -> RecipeError:
    """All problems of one recipe as a single error, one a line."""
    by_key: dict[KeyPath, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        by_key.setdefault(_key_path(detail["loc"], values), []).append(detail)
    problems = [
        _problem(path, details, place(path, places, name))
        for path, details in by_key.items()
        if not _explained_deeper(path, details, by_key)
    ]
    return all_in_one(problems, name)


def first_problem(error: ValidationError) -> tuple[str, str, str]:
    """(key, what is wrong, what to do or "") of the first problem, for values that are no recipe's
    and have no sections."""
    details = error.errors(include_url=False)
    key = str(next(iter(details[0]["loc"]), ""))
    if details[0]["type"] == "extra_forbidden":
        return key, "unknown key", ""
    return key, *_words((key,), [one for one in details if one["loc"][:1] == (key,)] or details)


def all_in_one(problems: Sequence[RecipeError], name: str) -> RecipeError:
    """The only problem itself, or one error that lists them all."""
    if len(problems) == 1:
        return problems[0]
    lines = "\n".join(f"- {problem}" for problem in problems)
    return RecipeError(f"{len(problems)} problems\n{lines}", where=name)


def place(path: KeyPath, places: Places, name: str) -> str:
    """file:line of a key, or of the nearest key above it that stands in a file."""
    for length in range(len(path), 0, -1):
        if path[:length] in places:
            return places[path[:length]]
    return name


@contextlib.contextmanager
def telling_places(places: Places, name: str) -> Iterator[None]:
    """Put file and line in front of the key that an error from inside names as its place."""
    try:
        yield
    except TesujiError as error:
        path = tuple(error.where.partition(":")[0].split("."))
        if path[0] in Recipe.model_fields:
            error.where = f"{place(path, places, name)}: {error.where}"
        raise


def _key_path(loc: Sequence[int | str], values: Any) -> KeyPath:
    """The path as the recipe writes it, without the marks pydantic sets between the keys.

    Behind a stage's name stands its kind, and behind a key that takes several types (`str`,
    `list[str]`) the type that was tried.
    """
    path: list[str] = []
    for index, part in enumerate(loc):
        if loc[0] == "stages" and index == 2:
            continue
        there = isinstance(values, dict) and part in values
        if _is_type(part) and not there:
            continue
        path.append(str(part))
        values = _inside(values, part)
    return tuple(path)


def _is_type(part: int | str) -> bool:
    """Whether this is pydantic's mark for a type that was tried, not a key."""
    marks = ("list[", "function-", "literal[")
    return part in SCALARS or part in OR_A_WORD or str(part).startswith(marks)


def _inside(values: Any, part: int | str) -> Any:
    if isinstance(values, dict):
        return values.get(part)
    if isinstance(values, list) and isinstance(part, int) and part < len(values):
        return values[part]
    return None


def _explained_deeper(
    path: KeyPath, details: Sequence[ErrorDetails], by_key: Mapping[KeyPath, object]
) -> bool:
    """Of a key that takes a text or a list, and holds a list, or a word or a section, and holds
    keys: only what is wrong inside counts."""
    word = details[0]["loc"][-1] in SCALARS or details[0]["type"] == "literal_error"
    tried = word and isinstance(details[0]["input"], list | dict)
    return tried and any(len(key) > len(path) and key[: len(path)] == path for key in by_key)


def _problem(path: KeyPath, details: Sequence[ErrorDetails], where: str) -> RecipeError:
    what, hint = _words(path, details)
    return RecipeError(what, where=f"{where}: {'.'.join(path)}" if path else where, hint=hint)


def _words(path: KeyPath, details: Sequence[ErrorDetails]) -> tuple[str, str]:
    """(what is wrong, what to do) of one key."""
    detail = next((one for one in details if one["type"] in LIMITS), details[0])
    kind, value, facts = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return "unknown key", _hint_for_key(str(detail["loc"][-1]), detail["loc"])
    if kind == "missing":
        return "this key is missing", f"add `{path[-1]}:`"
    if kind == "union_tag_invalid":
        return f"{in_words(value['kind'])} is no kind of stage", _hint_for_kind(value["kind"])
    if kind == "value_error":
        return str(facts["error"]), ""
    if kind == "literal_error" and len(details) == 1:
        return f"{in_words(value)} is not one of the choices", _hint_for_choice(value, facts)
    if kind in LIMITS:
        limits = {name: _short(limit) for name, limit in facts.items()}
        given = len(value) if isinstance(value, list) else in_words(value)
        return f"{LIMITS[kind].format(**limits)}, not {given}", ""
    wanted = [_wanted(each) for each in details]
    return f"must be {' or '.join(dict.fromkeys(wanted))}, not {in_words(value)}", ""


def _wanted(detail: ErrorDetails) -> str:
    if detail["type"] == "literal_error":
        return str(detail.get("ctx", {})["expected"]).replace("'", "`")
    short = SHORT.get(detail.get("ctx", {}).get("class_name", ""))
    return short or TYPES.get(detail["type"].partition("_")[0], detail["msg"])


def _short(limit: Any) -> Any:
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def in_words(value: Any) -> str:
    """What was given, in words and in short."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return "a mapping of keys" if isinstance(value, dict) else "a list"
    if isinstance(value, str):
        return f"the text {value[:40]!r}" + ("..." if len(value) > 40 else "")
    return str(value)[:40]


def _hint_for_choice(value: Any, facts: Mapping[str, Any]) -> str:
    """pydantic tells the choices as `'a', 'b' or 'c'`."""
    choices = [word for index, word in enumerate(facts["expected"].split("'")) if index % 2]
    return f"{nearest(str(value), choices, known='')} one of: {', '.join(choices)}".strip()


def _hint_for_kind(kind: object) -> str:
    guess = nearest(str(kind), STAGES, known="")
    return f"{guess} a stage is one of: {', '.join(STAGES)} (its name, or its `kind:`)".strip()


def _hint_for_key(key: str, loc: Sequence[int | str]) -> str:
    """The nearest key of the section, or the section the key belongs to, or all keys here."""
    known = list(_section(loc).model_fields)
    homes = _nearby(list(_homes(key)), loc)
    if not homes:
        return nearest(key, known)
    near = nearest(key, known, known="")
    return f"{near} it belongs in {' or '.join(homes)}".strip()


def _nearby(homes: Sequence[str], loc: Sequence[int | str]) -> list[str]:
    """Of the places for a key those in the stage where it stood, else the outermost ones."""
    if len(loc) > 3 and loc[0] == "stages":  # ("stages", name, kind, ..., key)
        kind = f"stages.{loc[2]}."
        inside = [home for home in homes if home.startswith(kind)]
        homes = [f"stages.{loc[1]}.{home.removeprefix(kind)}" for home in inside] or homes
    return sorted(homes, key=lambda home: home.count("."))[:MOST_HOMES]


def _section(loc: Sequence[int | str]) -> type[BaseModel]:
    """The section in which an unknown key stood."""
    model: type[BaseModel] = Recipe
    steps = list(loc[:-1])
    if steps[:1] == ["stages"]:  # ("stages", name, kind, ...)
        model, steps = STAGES[str(steps[2])], steps[3:]
    for step in steps:
        if step in model.model_fields:  # else: a place in a list, or a name that is free to choose
            model = next(sections_in(model.model_fields[str(step)].annotation), model)
    return model


def _homes(key: str) -> Iterator[str]:
    """Where in a recipe a key of this name may stand, at any depth."""
    homes: dict[str, type[Section]] = {"": Recipe}
    homes |= {f"stages.{kind}.": stage for kind, stage in STAGES.items()}
    for home, outermost in homes.items():
        sections = _nested(home, outermost)
        yield from (f"{path}{key}" for path, section in sections if key in section.model_fields)


def _nested(home: str, section: type[Section]) -> Iterator[tuple[str, type[Section]]]:
    """The section itself and all in it, each with its path; stages are not looked into."""
    yield home, section
    for name, field in section.model_fields.items():
        if name != "stages":
            for inner in sections_in(field.annotation):
                yield from _nested(f"{home}{name}.", inner)
