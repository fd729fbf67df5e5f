"""The files of a data stage: rows for training, and the positions they came from.

A row is `{"prompt": [messages], "completion": "...", "position": key}`: the prompt-completion shape
TRL knows; a pair is `{"prompt": [messages], "chosen": "...", "rejected": "..."}`. Files of other
people's are read in every shape that an import of chats reads (`logs/formats/chat.py`). `about`
holds what is known about where a row comes from (`columns.py`). The `weight` of older files is
passed over: every row counts alike.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from tesuji.core.errors import DataError
from tesuji.core.files import read_jsonl, unreadable
from tesuji.core.types import Example, Message, Pair, is_message
from tesuji.logs.base import Record, Refused
from tesuji.logs.formats.chat import Chat, read_pair
from tesuji.logs.formats.chat_fields import UNREAD
from tesuji.logs.records import Unread, records

Read = TypeVar("Read")
log = logging.getLogger(__name__)
PLAIN = {"role", "content"}  # what a message of our own files has
OF_ROWS = {"prompt", "completion", "position", "about", "weight"}
OF_PAIRS = {"prompt", "chosen", "rejected", "position", "about"}


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
    """Examples of a file of rows, one for each reply that is to be learned. Raises DataError naming
    file, line and field of the first wrong row; warns of fields that nobody reads."""
    unread: Counter[str] = Counter()
    for where, row in _rows(path):
        if _is_own(row, OF_ROWS, "completion"):
            yield Example(_messages(row), row["completion"], _position(row), _about(row))
            continue
        episode = _read(Chat().read, row, where)
        unread.update(episode.provenance.get("notes", ()))
        for turn in episode.turns:
            attempt = turn.attempts[0]
            yield Example(attempt.prompt, attempt.reply, _position(row), _about(row))
    _warn(path, unread)


def read_pairs(path: Path) -> Iterator[Pair]:
    """Pairs of a file, also those with equal or empty replies, which a training leaves out and
    counts. Raises DataError and warns as `read_rows` does."""
    unread: Counter[str] = Counter()
    for where, row in _rows(path):
        if _is_own(row, OF_PAIRS, "chosen", "rejected"):
            pair = Pair(_messages(row), row["chosen"], row["rejected"], _position(row), _about(row))
        else:
            read = _read(lambda record: read_pair(record.value), row, where)
            unread.update(read.about.get("notes", ()))
            pair = replace(read, position=_position(row), about=_about(row))
        yield pair
    _warn(path, unread)


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    """(place, value) of each row; JSON lines, or whatever else the import of logs opens."""
    if path.suffix in ("", ".jsonl"):
        yield from ((f"{path}:{number}", row) for number, row in read_jsonl(path))
        return
    if not path.is_file():
        raise unreadable(path, FileNotFoundError(2, "No such file or directory"))
    for record in records(path, str(path), lambda suffix, words: None):
        where = f"{path}:{record.line}" if record.line else str(path)
        if isinstance(record, Unread):
            raise DataError(f"cannot read: {record.detail}", where=where)
        yield where, record.value


def _is_own(row: Any, fields: set[str], *replies: str) -> bool:
    """Whether a row is one of our own shape, which is taken as it is."""
    if not isinstance(row, dict) or not row.keys() <= fields:
        return False
    prompt = row.get("prompt")
    plain = isinstance(prompt, list) and all(map(_is_plain, prompt))
    return bool(prompt) and plain and all(_is_text(row.get(name)) for name in replies)


def _is_plain(message: Any) -> bool:
    return isinstance(message, dict) and message.keys() == PLAIN and is_message(message)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _read(read: Callable[[Record], Read], row: Any, where: str) -> Read:
    try:
        return read(Record(row, where))
    except Refused as refused:
        raise DataError(
            refused.detail or refused.reason,
            where=where,
            hint="mend the row, or name the file in `stages.logs.paths`: there, rows like it are "
            "left out and counted",
        ) from refused


def _position(row: Mapping[str, Any]) -> str:
    return str(row.get("position") or "")


def _about(row: Mapping[str, Any]) -> dict[str, Any]:
    about = row.get("about")
    return about if isinstance(about, dict) else {}


def _messages(row: Mapping[str, Any]) -> tuple[Message, ...]:
    return tuple(Message(role=item["role"], content=item["content"]) for item in row["prompt"])


def _warn(path: Path, notes: Counter[str]) -> None:
    """Say which fields of a file nobody read."""
    if unread := {note: count for note, count in notes.items() if note.startswith(UNREAD)}:
        log.warning("%s: %s", path, ", ".join(f"{note} ({n:,} rows)" for note, n in unread.items()))
