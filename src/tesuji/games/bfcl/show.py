"""What a model is shown of a question's functions: as tools, or as one line each.

The notes that the leaderboard adds to descriptions ("This is Java long type parameter in string
representation.") are added here in the same words; a test compares them with its own. Its types
become those of JSON Schema, which chat templates and models know.
"""

import copy
import json
from collections.abc import Mapping
from typing import Any

from tesuji.core.types import Message
from tesuji.games.bfcl.data import Question

SYNTAX = {"python": "Python 3", "java": "Java 8 SDK", "javascript": "JavaScript"}
_TYPES = {  # of JSON Schema, and the leaderboard's names for them
    "object": "dict HashMap Hashtable object",
    "number": "float double number",
    "integer": "integer byte short long Bigint",
    "array": "array tuple list ArrayList Array Queue Stack",
    "boolean": "boolean bool Boolean",
}
SCHEMA_TYPES = {name: schema for schema, names in _TYPES.items() for name in names.split()}


def tools_message(question: Question) -> tuple[Message, ...]:
    """The functions as one message of role `tools`, which holds a JSON list; nothing where none is
    on offer. A chat template that takes tools gets them so, others see them in Hermes style."""
    tools = [{"type": "function", "function": to_schema(f)} for f in noted(question)]
    return (Message(role="tools", content=json.dumps(tools)),) if tools else ()


def signatures(question: Question) -> str:
    """One line a function, `name(base: integer, unit?: string)`: for models too small to read
    more."""
    return "\n".join(_signature(function) for function in question.functions)


def noted(question: Question) -> list[dict[str, Any]]:
    """The descriptions with the leaderboard's notes about the language."""
    functions = [copy.deepcopy(dict(function)) for function in question.functions]
    for function in functions:
        syntax = SYNTAX[question.language]
        function["description"] += f" Note that the provided function is in {syntax} syntax."
        if question.language != "python":
            for value in function["parameters"]["properties"].values():
                _note(value, "Java" if question.language == "java" else "JavaScript")
    return functions


def _note(value: dict[str, Any], language: str) -> None:
    """Java and JavaScript values are given as text, in their own notation."""
    kind = value["type"]
    if kind == "any":
        note = f" This parameter can be of any type of {language} object in string representation."
    else:
        note = f" This is {language} {kind} type parameter in string representation."
    if kind in (("ArrayList", "Array") if language == "Java" else ("array",)):
        inner = value.pop("items")["type"]
        note += f" The list elements are of type {inner}; they are not in string representation."
    if language == "JavaScript" and kind == "dict" and "properties" in value:
        schema = json.dumps(value.pop("properties"))
        note += (
            " The dictionary entries have the following schema; they are not in string "
            f"representation. {schema}"
        )
    value["description"] += note
    value["type"] = "string"


def to_schema(node: Any) -> Any:
    """The same description with JSON Schema's names of types."""
    if isinstance(node, list):
        return [to_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: SCHEMA_TYPES.get(value, "string")
        if key == "type" and isinstance(value, str)
        else to_schema(value)
        for key, value in node.items()
    }


def _signature(function: Mapping[str, Any]) -> str:
    parameters = function["parameters"]
    required = parameters.get("required", ())
    inside = ", ".join(
        f"{name}{'' if name in required else '?'}: {value.get('type', 'any')}"
        for name, value in parameters["properties"].items()
    )
    return f"{function['name']}({inside})"
