"""Files of prompts, and the replies to them: read whole before anything is done, written whole.

What a row may hold: `prompt` (a text or messages), `messages` (a last one of the assistant's is
what was replied elsewhere, and is left out), or `instruction` with an `input`. A text file holds a
prompt a line. Blank lines are no prompts.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tesuji.core.errors import DataError
from tesuji.core.files import read_json, read_jsonl, read_text, write_json, write_jsonl
from tesuji.core.json_dataclass import json_safe
from tesuji.core.types import Message, is_message

SUFFIXES = (".jsonl", ".json", ".txt")
REPLY, BEFORE = "reply", "reply_before"


@dataclass(frozen=True, slots=True)
class PromptRow:
    """One prompt, and the row it stands in."""

    messages: tuple[Message, ...]
    row: Mapping[str, Any]


def read_prompts(path: Path) -> list[PromptRow]:
    """Every prompt of the file. Raises DataError naming file and line (of a .json file: the entry)
    of the first that is wrong, and for a file without any."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise DataError(f"prompts are read from {known} files", where=str(path))
    if suffix == ".txt":
        lines = enumerate(read_text(path).replace("\r\n", "\n").split("\n"), start=1)
        prompts = [_prompt(line, f"{path}:{number}") for number, line in lines if line.strip()]
    elif suffix == ".jsonl":
        prompts = [_prompt(row, f"{path}:{number}") for number, row in read_jsonl(path)]
    else:
        prompts = [_prompt(row, f"{path}[{place}]") for place, row in enumerate(_entries(path))]
    if not prompts:
        raise DataError("no prompts in it", where=str(path), hint="put one on each line")
    return prompts


def _entries(path: Path) -> list[Any]:
    value = read_json(path)
    if not isinstance(value, list):
        raise DataError("must be a list of prompts", where=str(path), hint='["...", "..."]')
    return value


def _prompt(row: Any, where: str) -> PromptRow:
    row = json_safe({"prompt": row} if isinstance(row, str) else row)
    if not isinstance(row, dict):
        raise DataError("a prompt is a text or a JSON object", where=where)
    messages = _messages(row)
    if not messages:
        raise DataError(
            "there is no prompt in this row",
            where=where,
            hint='it needs `prompt` (a text, or messages {"role": ..., "content": ...}), '
            "`messages`, or `instruction`",
        )
    return PromptRow(messages, row)


def _messages(row: Mapping[str, Any]) -> tuple[Message, ...]:
    """The row's messages; empty where it holds none that can be replied to."""
    if "instruction" in row:
        return _instructed(row["instruction"], row.get("input") or "")
    value = row["prompt"] if "prompt" in row else row.get("messages")
    if isinstance(value, str):
        return (Message(role="user", content=value),) if value.strip() else ()
    if not isinstance(value, list) or not all(map(is_message, value)):
        return ()
    messages = [Message(role=item["role"], content=item["content"]) for item in value]
    if messages and messages[-1]["role"] == "assistant":
        messages.pop()
    return tuple(messages)


def _instructed(instruction: Any, given: Any) -> tuple[Message, ...]:
    """The guide's rows: the instruction stands in front, the input is what is replied to."""
    if not isinstance(instruction, str) or not isinstance(given, str) or not instruction.strip():
        return ()
    if not given.strip():
        return (Message(role="user", content=instruction),)
    return (
        Message(role="system", content=instruction),
        Message(role="user", content=given),
    )


def results_path(prompts: Path) -> Path:
    """`prompts.jsonl` → `prompts_results.jsonl`; a text file's results are JSON lines, for replies
    run over several lines."""
    suffix = ".json" if prompts.suffix == ".json" else ".jsonl"
    return prompts.with_name(f"{prompts.stem}_results{suffix}")


def write_results(path: Path, prompts: Sequence[PromptRow], replies: Mapping[int, str]) -> None:
    """Every row as it was, with its reply, in the file's order; atomically. A reply that stood in
    a row already is kept as `reply_before`."""
    rows = [_result(prompt.row, replies[place]) for place, prompt in enumerate(prompts)]
    if path.suffix == ".json":
        write_json(path, rows)
    else:
        write_jsonl(path, rows)


def _result(row: Mapping[str, Any], reply: str) -> dict[str, Any]:
    before = {BEFORE: row[REPLY]} if REPLY in row else {}
    return {**row, **before, REPLY: reply}


class Kept:
    """Replies as they come, in a file beside the results, so that none is lost.

    Its first line is the key of model, settings and prompts; with another key the file is begun
    anew. A line torn by a crash is left out.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.key = key
        self.replies = self._read()

    def _read(self) -> dict[int, str]:
        lines = self.path.read_bytes().splitlines(keepends=True) if self.path.is_file() else []
        try:
            key, *rows = [json.loads(line) for line in lines if line.endswith(b"\n")]
            same = key == {"key": self.key}
            return {row["place"]: row[REPLY] for row in rows} if same else {}
        except (ValueError, LookupError, TypeError):  # no such file, or not one of ours
            return {}

    def __enter__(self) -> "Kept":
        rows = [{"place": place, REPLY: reply} for place, reply in self.replies.items()]
        write_jsonl(self.path, [{"key": self.key}, *rows])
        self._file = self.path.open("a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, replies: Mapping[int, str]) -> None:
        """Keep these as well."""
        for place, reply in replies.items():
            self._file.write(json.dumps({"place": place, REPLY: reply}) + "\n")
        self._file.flush()
        self.replies.update(replies)

    def done(self) -> None:
        """The results are written: nothing needs to be kept."""
        self.path.unlink(missing_ok=True)
