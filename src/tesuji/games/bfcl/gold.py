"""A right reply to a question, written from its key.

Of the values that count as right the first is taken, and a parameter is left out where that is
allowed first. Java and JavaScript values are written as their literals, which the checker reads.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tesuji.games.bfcl.calls import Call, write_calls
from tesuji.games.bfcl.data import Question

NO_CALL = "None of these functions can help with that."


def gold_reply(question: Question) -> str | None:
    """A reply that is right by the key; None where there is no key (`live_relevance`)."""
    if not question.relevant:
        return NO_CALL
    return write_calls(gold_calls(question)) if question.answers else None


def gold_calls(question: Question) -> tuple[Call, ...]:
    """The calls of the key."""
    return tuple(
        (name, _arguments(question, name, parameters))
        for answer in question.answers
        for name, parameters in answer.items()
    )


def _arguments(question: Question, name: str, key: Mapping[str, Any]) -> dict[str, Any]:
    about_all = [f["parameters"] for f in question.functions if f["name"] == name]
    described = about_all[0]["properties"] if about_all else {}
    needed = about_all[0].get("required", ()) if about_all else ()
    arguments = {}
    for parameter, values in key.items():
        given = [value for value in values if value != ""]
        if not given or ("" in values and parameter not in needed and _left_out(values)):
            continue
        value, about = _value(given[0]), described.get(parameter, {})
        arguments[parameter] = value if question.language == "python" else _literal(value, about)
    return arguments


def _left_out(values: Sequence[Any]) -> bool:
    """Whether the first way to be right is to say nothing, or nothing but an empty list."""
    return values[0] in ("", [])


def _value(value: Any) -> Any:
    """A value of the key as it is said: dictionaries hold lists of values that count as right."""
    if isinstance(value, dict):
        return {
            key: values[0]
            for key, values in value.items()
            if isinstance(values, list) and values and values[0] != ""
        }
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return [_value(item) for item in value]
    return value


def _literal(value: Any, about: Mapping[str, Any]) -> str:
    """A value in Java's or JavaScript's notation, as the checker reads it for this type."""
    kind, inner = about.get("type", "any"), about.get("items", {}).get("type", "any")
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return _map(value) if kind == "HashMap" else json.dumps(value)
    if isinstance(value, list):
        return _list(value, kind, inner)
    return f"{value}{_SUFFIX.get(kind, '')}"


_SUFFIX = {"long": "L", "Bigint": "n"}


def _map(value: Mapping[str, Any]) -> str:
    puts = " ".join(f'put("{key}", {json.dumps(item)});' for key, item in value.items())
    return f"new HashMap<String, Object>() {{{{ {puts} }}}}"


def _list(value: list[Any], kind: str, inner: str) -> str:
    if kind == "ArrayList":
        items = ", ".join(_item(item, inner) for item in value)
        return f"new ArrayList<Object>(Arrays.asList({items}))"
    if kind == "Array":
        bare = (str(item) if inner == "String" else _item(item, inner) for item in value)
        return f"new Object[]{{{', '.join(bare)}}}"
    return json.dumps(value)


def _item(item: Any, inner: str) -> str:
    if isinstance(item, str | bool):
        return json.dumps(item)
    return f"{item}{_SUFFIX.get(inner, '')}"
