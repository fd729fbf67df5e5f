"""What pydantic found wrong, in words a person can act on: where, what, and what to do."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tesuji.core.errors import RecipeError
from tesuji.recipe.overrides import nearest
from tesuji.recipe.schema import STAGE_KINDS, DataStage, Recipe, SftStage
from tesuji.recipe.yamlfile import KeyPath

STAGES: Mapping[str, type[BaseModel]] = {"data": DataStage, "sft": SftStage}
Places = Mapping[KeyPath, str]


def recipe_error(error: ValidationError, places: Places, name: str) -> RecipeError:
    """All problems of one recipe as a single error, one a line."""
    problems = [_problem(detail, places, name) for detail in error.errors()]
    if len(problems) == 1:
        return problems[0]
    lines = "\n".join(f"- {problem}" for problem in problems)
    return RecipeError(f"{len(problems)} problems\n{lines}", where=name)


def _problem(detail: ErrorDetails, places: Places, name: str) -> RecipeError:
    path = _key_path(detail["loc"])
    what, hint = _words(detail, path)
    return RecipeError(what, where=f"{place(path, places, name)}: {'.'.join(path)}", hint=hint)


def place(path: KeyPath, places: Places, name: str) -> str:
    """file:line of a key, or of the nearest key above it that stands in a file."""
    for length in range(len(path), 0, -1):
        if path[:length] in places:
            return places[path[:length]]
    return name


def _key_path(loc: Sequence[int | str]) -> KeyPath:
    """The path as the recipe writes it: pydantic puts a stage's kind behind its name."""
    parts = [str(part) for part in loc]
    if len(parts) > 2 and parts[0] == "stages" and parts[2] in STAGES:
        del parts[2]
    return tuple(parts)


def _words(detail: ErrorDetails, path: KeyPath) -> tuple[str, str]:
    """(what is wrong, what to do) of one problem."""
    kind, given, facts = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return "unknown key", nearest(path[-1], _known(detail["loc"]))
    if kind == "missing":
        return "this key is missing", f"add `{path[-1]}:`"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        kinds = ", ".join(STAGE_KINDS)
        return f"{given.get('kind')!r} is no kind of stage", f"give it `kind:`, one of: {kinds}"
    if kind == "value_error":
        return str(facts["error"]), ""
    if kind == "literal_error":
        return f"{given!r} is not one of the choices", f"choose {facts['expected']}"
    return f"{_expected(kind, facts, detail['msg'])}, not {given!r}", ""


def _expected(kind: str, facts: Mapping[str, Any], message: str) -> str:
    limits = {
        "greater_than": "must be more than {gt}",
        "greater_than_equal": "must be at least {ge}",
        "less_than": "must be less than {lt}",
        "less_than_equal": "must be at most {le}",
    }
    names = {
        "int": "must be a whole number",
        "float": "must be a number",
        "bool": "must be true or false",
        "string": "must be a text",
        "list": "must be a list",
        "dict": "must be a mapping of keys",
        "model": "must be a mapping of keys",
    }
    if kind in limits:
        return limits[kind].format(**facts)
    return names.get(kind.partition("_")[0], message[:1].lower() + message[1:])


def _known(loc: Sequence[int | str]) -> list[str]:
    """The keys of the section in which an unknown key stood."""
    model: type[BaseModel] = Recipe
    steps = list(loc[:-1])
    if steps[:1] == ["stages"]:  # ("stages", name, kind, ...)
        model, steps = STAGES[str(steps[2])], steps[3:]
    for step in steps:
        if isinstance(step, str):
            annotation = model.model_fields[step].annotation
            model = next(part for part in (annotation, *_inside(annotation)) if _is_model(part))
    return list(model.model_fields)


def _inside(annotation: Any) -> list[Any]:
    return [found for part in get_args(annotation) for found in (part, *_inside(part))]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
