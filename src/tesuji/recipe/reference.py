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

from tesuji.core.files import write_text
from tesuji.recipe.schema import Recipe
from tesuji.recipe.sections import PlayerSection, Section

PAGE = "recipe-reference.md"
SCHEMA = "recipe.schema.json"
WORDS = {int: "whole number", float: "number", bool: "true or false", str: "text"}
SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
Json = dict[str, Any]

HEAD = f"""# Recipe reference

Made from the sections in `src/tesuji/recipe/` by `make docs`; change it there.

A recipe is one YAML file. Unknown keys are refused. On the command line every key can be changed:
`tesuji run recipes/tictactoe/tiny.yaml seed=2 stages.sft.learning_rate=1e-2`.

Shorthands: `game: kuhn_poker` for `game: {{name: kuhn_poker}}`; `random` for `{{player: random}}`;
a stage without `kind:` is of the kind it is named after; `stage:` with nothing after it takes all
defaults; `stage: false` leaves it out. `include: other.yaml` (or a list) at the top lays this file
over others, whose names are relative to it.

In an editor with a YAML language server, put this line at the top of a recipe, with the path from
the recipe to the schema, and keys are completed, explained and checked while you type:

```yaml
# yaml-language-server: $schema=../../docs/{SCHEMA}
```

`tesuji recipes schema > {SCHEMA}` writes the schema where there is no checkout.
"""


def write_reference(folder: Path) -> list[Path]:
    """Write page and schema into a folder. Raises DataError when it cannot be written."""
    pages = {folder / PAGE: page_text(), folder / SCHEMA: json_schema_text()}
    for path, text in pages.items():
        write_text(path, text)
    return list(pages)


def page_text() -> str:
    """The Markdown page: one table for every section of a recipe."""
    tables = [_table(path, section) for path, section in sections(Recipe)]
    return "\n".join([HEAD, *tables])


def sections(model: type[Section], path: str = "") -> Iterator[tuple[str, type[Section]]]:
    """Every section with its key path (`model.lora`), outer before inner; players once, last."""
    yield path, model
    for name, field in model.model_fields.items():
        for inner in _sections_in(field.annotation):
            if inner is not PlayerSection:
                step = _kind_of(inner) if name == "stages" else ""
                yield from sections(inner, ".".join(part for part in (path, name, step) if part))
    if not path:
        yield "player", PlayerSection


def _sections_in(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [found for part in get_args(annotation) for found in _sections_in(part)]


def _table(path: str, section: type[Section]) -> str:
    title = f"`{path}`" if path else "Top level"
    if section is PlayerSection:
        title = "A player (`oracle`, `opponents`, `sampled_by`)"
    lines = [f"## {title}", "", _one_line(section.__doc__), ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    lines += [_row(name, field) for name, field in section.model_fields.items()]
    return "\n".join(lines) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    cells = [f"`{name}`", _kind_of_value(field), _default(field), _one_line(field.description)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _kind_of_value(field: FieldInfo) -> str:
    words = _type_words(field.annotation).removesuffix(" or nothing")
    nothing = ["or nothing"] if type(None) in get_args(field.annotation) else []
    return " ".join([words, *_limits(field), *nothing])


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
        found = [_type_words(part) for part in inner]
        return " or ".join(dict.fromkeys(found))
    if inner:  # Annotated[...]: limits and discriminators are told elsewhere
        return _type_words(inner[0])
    if annotation is PlayerSection:
        return "player"
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "stage" if "kind" in annotation.model_fields else "section"
    return "nothing" if annotation is type(None) else WORDS[annotation]


def _limits(field: FieldInfo) -> list[str]:
    return [
        f"{sign} {getattr(limit, word)}"
        for limit in field.metadata
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
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.label if isinstance(value, PlayerSection) else value


def json_schema_text() -> str:
    """The JSON schema of recipe files as text that ends with a newline."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def json_schema() -> Json:
    """The JSON schema (2020-12) of recipe files: pydantic's, and the shorthands."""
    schema = Recipe.model_json_schema()
    parts, keys = schema["$defs"], schema["properties"]
    for name in ("GameSection", "PlayerSection"):
        parts[name] = {"anyOf": [{"type": "string"}, parts[name]]}
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
    """Stages by name: a name that is a kind needs no `kind`, nor anything else."""
    bodies = {
        _kind_of(stage): {"$ref": f"#/$defs/{stage.__name__}"}
        for stage in _sections_in(Recipe.model_fields["stages"].annotation)
    }
    named: list[Json] = [{**body, "required": ["kind"]} for body in bodies.values()]
    off: Json = {"const": False}
    return {
        "properties": {
            kind: {"anyOf": [{"type": "null"}, off, body, *named]} for kind, body in bodies.items()
        },
        "additionalProperties": {"anyOf": [off, *named]},
    }


def _kind_of(stage: type[Section]) -> str:
    return str(stage.model_fields["kind"].default)


def main() -> None:
    """Write both files into the folder given, or into docs/."""
    for path in write_reference(Path(sys.argv[1] if len(sys.argv) > 1 else "docs")):
        print(path)


if __name__ == "__main__":
    main()
