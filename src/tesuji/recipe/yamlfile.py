"""YAML as recipes use it: safe, no duplicate keys, `2e-5` a number, and lines remembered."""

import re
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import yaml

from tesuji.core.errors import RecipeError
from tesuji.core.files import read_text

KeyPath = tuple[str, ...]
NODE_LIMIT = 20_000


class RecipeLoader(yaml.SafeLoader):
    """SafeLoader that reads `2e-5` as a float, as YAML 1.2 does, and refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A dict of the node; ConstructorError names the second of two equal keys."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is given twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


RecipeLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def parse_yaml(text: str, name: str) -> tuple[Any, dict[KeyPath, int]]:
    """The value of a YAML text and the line of every key in it.

    Raises RecipeError with `name` and the line where the text is no YAML.
    """
    try:
        node = yaml.compose(text, Loader=RecipeLoader)
        lines = dict(_lines(node, (), set(), [0])) if node is not None else {}
        return yaml.load(text, Loader=RecipeLoader), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        raise RecipeError(f"not valid YAML: {error.problem}", where=where) from error
    except yaml.YAMLError as error:
        raise RecipeError(f"not valid YAML: {error}", where=name) from error
    except RecursionError as error:
        raise RecipeError("nested too deeply", where=name) from error


def read_yaml(path: Path) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    """A recipe file's mapping and the line of every key. Raises RecipeError or DataError."""
    value, lines = parse_yaml(read_text(path), str(path))
    if not isinstance(value, dict):
        what = "is empty" if value is None else f"holds {_kind(value)}"
        raise RecipeError(
            f"the file {what}; a recipe is a mapping of keys",
            where=str(path),
            hint="begin with `name: my-run`; `tesuji recipes show tictactoe/tiny` is an example",
        )
    return value, lines


def _lines(
    node: yaml.Node, path: KeyPath, open_: set[int], count: list[int]
) -> Iterator[tuple[KeyPath, int]]:
    """(key path, line) of every key; aliases are followed, within bounds."""
    count[0] += 1
    if count[0] > NODE_LIMIT or id(node) in open_:
        raise RecursionError
    children: list[tuple[str, yaml.Node, int]] = []
    if isinstance(node, yaml.MappingNode):
        children = [(str(k.value), v, k.start_mark.line) for k, v in node.value]
    elif isinstance(node, yaml.SequenceNode):
        children = [(str(i), v, v.start_mark.line) for i, v in enumerate(node.value)]
    for key, child, line in children:
        yield (*path, key), line + 1
        yield from _lines(child, (*path, key), open_ | {id(node)}, count)


def _kind(value: Any) -> str:
    names = {list: "a list", str: "a single text", int: "a number", float: "a number"}
    return names.get(type(value), "something else")
