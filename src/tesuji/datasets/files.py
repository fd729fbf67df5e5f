"""The files of a data stage: rows for training, and the positions they came from.

A row is `{"prompt": [messages], "completion": "...", "position": key}`: the prompt-completion shape
TRL knows; a pair is `{"prompt": [messages], "chosen": "...", "rejected": "..."}`. Files of other
people's with `prompt` as plain text are read too. `about` holds what is known about where a row
comes from (`columns.py`). The `weight` of older files is passed over: every row counts alike.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tesuji.core.errors import DataError
from tesuji.core.files import read_jsonl
from tesuji.core.types import Example, Message, Pair, is_message


def example_row(example: Example) -> dict[str, Any]:
    """An example as one JSON line."""
    row = {
        "prompt": list(example.prompt),
        "completion": example.reply,
        "position": example.position,
    }
    return {**row, "about": dict(example.about)} if example.about else row


def pair_row(pair: Pair) -> dict[str, Any]:
    """A pair as one JSON line."""
    row = {
        "prompt": list(pair.prompt),
        "chosen": pair.chosen,
        "rejected": pair.rejected,
        "position": pair.position,
    }
    return {**row, "about": dict(pair.about)} if pair.about else row


def read_rows(path: Path) -> Iterator[Example]:
    """Examples of a JSONL file. Raises DataError naming file and line of the first wrong row."""
    for number, row in read_jsonl(path):
        where = f"{path}:{number}"
        row = _object(row, where)
        reply = _reply(row, "response" if "response" in row else "completion", where)
        prompt = _messages(row.get("prompt"), where)
        yield Example(prompt, reply, str(row.get("position", "")), _about(row))


def read_pairs(path: Path) -> Iterator[Pair]:
    """Pairs of a JSONL file. Raises DataError naming file and line of the first wrong row."""
    for number, row in read_jsonl(path):
        where = f"{path}:{number}"
        row = _object(row, where)
        chosen, rejected = (_reply(row, side, where) for side in ("chosen", "rejected"))
        prompt = _messages(row.get("prompt"), where)
        yield Pair(prompt, chosen, rejected, str(row.get("position", "")), _about(row))


def _reply(row: Mapping[str, Any], name: str, where: str) -> str:
    reply = row.get(name)
    if not isinstance(reply, str) or not reply:
        raise DataError(f"`{name}` must be a text that is not empty", where=where)
    return reply


def _object(row: Any, where: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise DataError("a row must be a JSON object", where=where)
    return row


def _about(row: Mapping[str, Any]) -> dict[str, Any]:
    about = row.get("about")
    return about if isinstance(about, dict) else {}


def _messages(value: Any, where: str) -> tuple[Message, ...]:
    if isinstance(value, str) and value:
        return (Message(role="user", content=value),)
    fits = isinstance(value, list) and value and all(is_message(item) for item in value)
    if not fits:
        raise DataError(
            "`prompt` must be a text, or a list of messages",
            where=where,
            hint='a message is {"role": "user", "content": "..."}',
        )
    return tuple(Message(role=item["role"], content=item["content"]) for item in value)
