"""The recipe's reference, made from the schema: a page for people, a JSON schema for editors.

    python -m tesuji.recipe.reference docs    # writes recipe-reference.md and recipe.schema.json

The JSON schema says what a recipe *file* may hold, shorthands and `include` too; rules that tie
two keys together are checked by `load_recipe` only.
"""

import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from tesuji.core.files import read_text, write_text
from tesuji.recipe.schema.endpoint import EndpointPlayerSection
from tesuji.recipe.schema.play import OpponentSection, RewardTerm
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.sections import GameSection, PlayerSection, Section, sections_in
from tesuji.recipe.schema.stages import STAGES

PAGE = "recipe-reference.md"
SCHEMA = "recipe.schema.json"
WORDS: dict[Any, str] = {
    int: "whole number",
    float: "number",
    bool: "true or false",
    str: "text",
    Any: "any value",
}
NOUNS: dict[type, str] = {  # sections with a shorthand, by what the page calls them
    GameSection: "game",
    PlayerSection: "player",
    OpponentSection: "player with weight",
    RewardTerm: "term or number",
}
PLAYERS: dict[str, tuple[type[Section], str]] = {  # told once, at the end: path → (section, title)
    "player": (PlayerSection, "A player (`oracle`, `sampled_by`, `evaluation.opponents`)"),
    "opponent": (OpponentSection, "A player with weight (`opponents` of a stage's `play`)"),
    "openai": (EndpointPlayerSection, "The options of the player `openai`"),
}
SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
Json = dict[str, Any]

HEAD = read_text(Path(__file__).with_name("reference_head.md"))


def write_reference(folder: Path) -> list[Path]:
    """Write page and schema into a folder. Raises DataError when it cannot be written."""
    pages = {folder / PAGE: page_text(), folder / SCHEMA: json_schema_text()}
    for path, text in pages.items():
        write_text(path, text)
    return list(pages)


def page_text() -> str:
    """The Markdown page: one table for every section of a recipe."""
    tables = [_table(paths, section) for section, paths in _places(Recipe).items()]
    return "\n".join([HEAD, *tables])


def sections(model: type[Section]) -> Iterator[tuple[str, type[Section]]]:
    """Every section once, with the key path of the first place where it may stand (`model.lora`),
    outer before inner; players last."""
    return ((paths[0], section) for section, paths in _places(model).items())


def _places(model: type[Section]) -> dict[type[Section], list[str]]:
    """Every section with its key paths: inside a section that was seen before, nobody looks."""
    places: dict[type[Section], list[str]] = {}

    def visit(section: type[Section], path: str) -> None:
        places.setdefault(section, []).append(path)
        if len(places[section]) == 1:
            for inner, below in _inside(section, path):
                visit(inner, below)

    visit(model, "")
    return places | {section: [path] for path, (section, _) in PLAYERS.items()}


def _inside(section: type[Section], path: str) -> Iterator[tuple[type[Section], str]]:
    """The sections among the keys of a section, players left out."""
    for name, field in section.model_fields.items():
        for inner in sections_in(field.annotation):
            if not issubclass(inner, PlayerSection):
                step = inner.model_fields["kind"].default if name == "stages" else ""
                yield inner, ".".join(part for part in (path, name, step) if part)


def _table(paths: list[str], section: type[Section]) -> str:
    first, *others = paths
    title = f"`{first}`" if first else "Top level"
    if first in PLAYERS:
        title = PLAYERS[first][1]
    also = [f"The same in {', '.join(f'`{path}`' for path in others)}.", ""] if others else []
    lines = [f"## {title}", "", _one_line(section.__doc__), "", *also]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    lines += [_row(name, section.model_fields[name]) for name in _keys(section)]
    return "\n".join(lines) + "\n"


def _keys(section: type[Section]) -> list[str]:
    """The keys in the order of the code; of a stage its own before those it shares with others."""
    keys = list(section.model_fields)
    if "kind" not in keys:
        return keys
    declared = [key for base in section.__mro__ for key in vars(base).get("__annotations__", {})]
    return [key for key in dict.fromkeys(declared) if key in keys]


def _row(name: str, field: FieldInfo) -> str:
    cells = [f"`{name}`", _kind_of_value(field), _default(field), _one_line(field.description)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _kind_of_value(field: FieldInfo) -> str:
    words = _type_words(field.annotation).removesuffix(" or nothing")
    nothing = ["or nothing"] if type(None) in get_args(field.annotation) else []
    return " ".join([words, *_limits(field.metadata), *nothing])


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def _type_words(annotation: Any) -> str:
    """A type in words: `whole number`, `` `adamw` or `muon` ``, `list of players`."""
    inner = get_args(annotation)
    origin = get_origin(annotation)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin is list:
        return f"list of {_type_words(inner[0])}"
    if origin is dict:
        return f"name → {_type_words(inner[1])}"
    if origin in (types.UnionType, Union):
        words = [_type_words(part) for part in inner]
        return " or ".join(dict.fromkeys(words))
    if inner:  # Annotated[...]: limits of a part, such as a number or `auto`
        limits = [limit for one in inner[1:] for limit in _limits(getattr(one, "metadata", []))]
        return " ".join([_type_words(inner[0]), *limits])
    if annotation in NOUNS:
        return NOUNS[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "stage" if "kind" in annotation.model_fields else "section"
    return "nothing" if annotation is type(None) else WORDS[annotation]


def _limits(metadata: list[Any]) -> list[str]:
    return [
        f"{sign} {getattr(limit, word)}"
        for limit in metadata
        for word, sign in SIGNS.items()
        if getattr(limit, word, None) is not None
    ]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.default
    if isinstance(value, Section) and not isinstance(value, PlayerSection):
        return "its defaults"
    return f"`{json.dumps(_plain(value), ensure_ascii=False)}`" if value is not None else "none"


def _plain(value: Any) -> Any:
    """A default as a recipe would write it, in short where there is a shorthand."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, RewardTerm) and not value.options:
        return value.weight
    if isinstance(value, PlayerSection):
        return value.label
    return value.model_dump(mode="json") if isinstance(value, Section) else value


def json_schema_text() -> str:
    """The JSON schema of recipe files as text that ends with a newline."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def json_schema() -> Json:
    """The JSON schema (2020-12) of recipe files: pydantic's, and the shorthands."""
    schema = Recipe.model_json_schema()
    parts, keys = schema["$defs"], schema["properties"]
    for section in NOUNS:
        short = "number" if section is RewardTerm else "string"
        parts[section.__name__] = {"anyOf": [{"type": short}, parts[section.__name__]]}
    _or_alone(parts["DataStage"]["properties"]["sampled_by"])
    keys["report_to"] = _trackers(keys["report_to"])
    keys["stages"] |= _stages()
    names = {"type": "string"}
    keys["include"] = {
        "description": "Files this one is laid over; their names are relative to it.",
        "anyOf": [names, {"type": "array", "items": names}],
    }
    needed = {"required": schema.pop("required")}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "anyOf": [{"required": ["include"]}, needed],
    }


def _or_alone(key: Json) -> None:
    """A list, or its one item without the brackets."""
    listed = {"type": key.pop("type"), "items": key.pop("items")}
    key["anyOf"] = [listed, listed["items"]]


def _trackers(key: Json) -> Json:
    one = key["items"]["enum"]
    _or_alone(key)
    key["anyOf"][1] = {"enum": [*one, "none", None]}
    return key


def _stages() -> Json:
    """Stages by name: a name that is a kind needs no `kind`, nor anything else. `reinforce++` is a
    kind but no name, for a stage's folder is called like the stage."""
    bodies = {kind: {"$ref": f"#/$defs/{stage.__name__}"} for kind, stage in STAGES.items()}
    named: list[Json] = [{**body, "required": ["kind"]} for body in bodies.values()]
    off: Json = {"const": False}
    return {
        "properties": {
            kind: {"anyOf": [{"type": "null"}, off, body, *named]}
            for kind, body in bodies.items()
            if kind.isalnum()
        },
        "additionalProperties": {"anyOf": [off, *named]},
    }


def main() -> None:
    """Write both files into the folder given, or into docs/."""
    for path in write_reference(Path(sys.argv[1] if len(sys.argv) > 1 else "docs")):
        print(path)


if __name__ == "__main__":
    main()
