"""Calls in a reply, and the reply that makes them.

Read are Hermes blocks, `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`, and a reply
that is nothing but such an object, or a JSON list of them (as xLAM writes it).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OPEN, CLOSE = "<tool_call>", "</tool_call>"

Call = tuple[str, dict[str, Any]]  # the function's name, its arguments by name


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of a reply in order; `broken` counts tags and blocks that hold no call."""

    calls: tuple[Call, ...]
    broken: int = 0


def read_calls(reply: str) -> Calls:
    """The calls in a reply. Never raises, whatever the reply is."""
    blocks = [part.partition(OPEN)[2] for part in reply.split(CLOSE)[:-1] if OPEN in part]
    if not blocks and OPEN not in reply and CLOSE not in reply:
        return Calls(_bare(reply))
    parsed = [_call(block) for block in blocks]
    calls = tuple(call for call in parsed if call is not None)
    unpaired = reply.count(OPEN) + reply.count(CLOSE) - 2 * len(blocks)
    return Calls(calls, broken=len(parsed) - len(calls) + unpaired)


def write_calls(calls: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """The reply that makes these calls."""
    made = ({"name": name, "arguments": dict(arguments)} for name, arguments in calls)
    return "\n".join(f"{OPEN}\n{json.dumps(call, ensure_ascii=False)}\n{CLOSE}" for call in made)


def _bare(reply: str) -> tuple[Call, ...]:
    """The calls of a reply that is JSON and nothing else; none where a part of it is no call."""
    value = _json(reply)
    calls_or_none = [_as_call(item) for item in (value if isinstance(value, list) else [value])]
    calls = tuple(call for call in calls_or_none if call is not None)
    return calls if len(calls) == len(calls_or_none) else ()


def _call(block: str) -> Call | None:
    return _as_call(_json(block))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _as_call(value: Any) -> Call | None:
    if not isinstance(value, dict):
        return None
    name, arguments = value.get("name"), value.get("arguments", value.get("parameters"))
    if not isinstance(name, str) or not isinstance(arguments, dict):
        return None
    return name, arguments
