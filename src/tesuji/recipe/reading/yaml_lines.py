"""YAML as recipes use it: safe, no key given twice, numbers as in YAML 1.2, lines remembered.

`2e-5` is a number here (PyYAML alone reads a text), `1:30` and `2026-01-31` are texts. An anchor
may be used again; the value is copied, so that changing one place never changes another.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tesuji.core.errors import RecipeError
from tesuji.core.files import read_text

KeyPath = tuple[str, ...]
Places = Mapping[KeyPath, str]  # key path → "file:line"
LARGEST = 200_000  # bytes of a recipe: PyYAML takes seconds for more
NODE_LIMIT = 20_000
DEPTH_LIMIT = 40
TAG = "tag:yaml.org,2002:"
_SCALARS = {
    TAG + "int": re.compile(r"^(?:[-+]?[0-9]+|0x[0-9a-fA-F]+)$"),
    TAG + "float": re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"),
    TAG + "bool": re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"),
    TAG + "null": re.compile(r"^(?:~|null|Null|NULL|)$"),
}


class RecipeLoader(yaml.SafeLoader):
    """SafeLoader that knows null, true/false, whole numbers and numbers; the rest is text."""

    yaml_implicit_resolvers = {}


class RecipeDumper(yaml.SafeDumper):
    """SafeDumper that also quotes the texts which RecipeLoader would read as numbers."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """A text; in double quotes where it holds a line break that YAML would read as another."""
        style = '"' if any(mark in data for mark in "\r\x85\u2028\u2029") else None
        return self.represent_scalar(TAG + "str", data, style)


RecipeDumper.add_representer(str, RecipeDumper.represent_str)
for _tag, _pattern in _SCALARS.items():
    RecipeLoader.add_implicit_resolver(_tag, _pattern, [*"-+.0123456789tTfF~nN", ""])
    RecipeDumper.add_implicit_resolver(_tag, _pattern, [*"-+.0123456789tTfF~nN", ""])


def dump_yaml(value: Any) -> str:
    """Plain values as YAML that `parse_yaml` reads back as they were."""
    return yaml.dump(value, Dumper=RecipeDumper, sort_keys=False, allow_unicode=True, width=100)


def parse_yaml(text: str, name: str) -> tuple[Any, dict[KeyPath, int]]:
    """The value of a YAML text and the line of every key in it.

    Raises RecipeError with `name` and the line where the text is no YAML.
    """
    try:
        return _Walk(name).read(RecipeLoader(text).get_single_node())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        raise RecipeError(
            f"not valid YAML: {error.problem}", where=where, hint=_advice(str(error.problem))
        ) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = f"the character {_character(error.character)} has no place in YAML"
        raise RecipeError(what, where=f"{name}:{line}", hint="delete it") from error
    except RecursionError as error:
        raise RecipeError("nested too deeply for a recipe", where=name) from error


def _character(character: int | str | bytes) -> str:
    return f"U+{character:04X}" if isinstance(character, int) else ascii(character)


def _advice(problem: str) -> str:
    if r"'\t'" in problem:
        return "YAML indents with spaces, not with tabs"
    if "mapping values are not allowed" in problem:
        return "a text that holds `: ` needs quotes; a key needs its own line"
    return "look at the indentation, the colons and the quotes of this line and the one above"


def read_yaml(path: Path) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    """A recipe file's mapping and the line of every key. Raises RecipeError or DataError."""
    if path.is_file() and path.stat().st_size > LARGEST:
        raise RecipeError(
            f"the file is larger than {LARGEST:,} bytes; a recipe holds settings",
            where=str(path),
            hint="name data by their path, such as `data: rows.jsonl`",
        )
    value, lines = parse_yaml(read_text(path, guess=False), str(path))
    if not isinstance(value, dict):
        what = "is empty" if value is None else f"holds {_kind(value)}"
        raise RecipeError(
            f"the file {what}; a recipe is a mapping of keys",
            where=str(path),
            hint="begin with `name: my-run`; `tesuji recipes show tictactoe/tiny` is an example",
        )
    return value, lines


class _Walk:
    """From YAML nodes to plain values, within bounds; remembers the line of every key."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[KeyPath, int] = {}
        self.count = 0

    def read(self, node: yaml.Node | None) -> tuple[Any, dict[KeyPath, int]]:
        return (None if node is None else self.value(node, ())), self.lines

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self.count += 1
        if self.count > NODE_LIMIT:
            raise self.error(node, f"more than {NODE_LIMIT:,} values once its aliases are followed")
        if len(path) > DEPTH_LIMIT:
            raise self.error(node, "nested too deeply for a recipe")
        if isinstance(node, yaml.MappingNode) and node.tag == TAG + "map":
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == TAG + "seq":
            return [self.at(item, (*path, str(i)), item) for i, item in enumerate(node.value)]
        return self.scalar(node)

    def at(self, node: yaml.Node, path: KeyPath, named_at: yaml.Node) -> Any:
        self.lines[path] = named_at.start_mark.line + 1
        return self.value(node, path)

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self.error(key, "a key must be a single text")
            if key.value in values:
                raise self.error(key, f"the key {key.value!r} is given twice")
            values[key.value] = self.at(value, (*path, key.value), key)
        return values

    def scalar(self, node: yaml.Node) -> str | int | float | bool | None:
        if not isinstance(node, yaml.ScalarNode) or node.tag not in (TAG + "str", *_SCALARS):
            raise self.error(node, f"the tag {node.tag!r} has no place in a recipe")
        try:
            return _plain(node.tag, node.value)
        except ValueError:
            raise self.error(node, f"cannot read {node.value[:40]!a}") from None

    def error(self, node: yaml.Node, what: str) -> RecipeError:
        return RecipeError(what, where=f"{self.name}:{node.start_mark.line + 1}")


def _plain(tag: str, text: str) -> str | int | float | bool | None:
    """One value; ValueError for what is no finite number or cannot be written as UTF-8."""
    if tag == TAG + "null":
        return None
    if tag == TAG + "bool":
        return text.lower() == "true"
    if tag == TAG + "int":
        return int(text, 16 if text.startswith("0x") else 10)
    if tag == TAG + "float":
        number = float(text)
        if not math.isfinite(number):
            raise ValueError(text)
        return number
    text.encode()  # UnicodeEncodeError, a ValueError, for half of a surrogate pair
    return text


def _kind(value: Any) -> str:
    names = {list: "a list", str: "a single text", int: "a number", float: "a number"}
    return names.get(type(value), "something else")
