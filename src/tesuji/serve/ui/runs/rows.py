"""Rows of data files as pages show them: what was asked, what was replied, where it is from."""

import json
from collections.abc import Mapping
from typing import Any

import orjson

from tesuji.core.redact import safe_all
from tesuji.serve.ui.runs.paging import Line

REPLIES = ("completion", "chosen", "rejected")
WORDS = {"completion": "Reply", "chosen": "Better reply", "rejected": "Worse reply"}
MOST_TEXT = 20_000  # letters of one text
MOST_MESSAGES = 60
REFUSED = {"file", "line", "kind", "reason", "detail"}  # what a row of the quarantine has


def shown(line: Line) -> dict[str, Any]:
    """A row as a template shows it, its texts safe: `kind` says which of the rest it has."""
    row = None if line.cut else _parsed(line.text)
    told: dict[str, Any]
    if not isinstance(row, dict):
        text = line.text.decode("utf-8", errors="replace")
        return _safe({"kind": "text", "text": _short(text), "cut": line.cut, "facts": []}, line)
    if row.keys() >= {"reason", "detail"} and row.keys() <= REFUSED:
        told = {"kind": "refused", "reason": str(row["reason"]), "detail": str(row["detail"])}
        place = _place(row.get("file"), row.get("line"))
        return _safe({**told, "facts": [("kind", str(row.get("kind") or "?"))], **place}, line)
    replies = [(WORDS[name], _said(row[name])) for name in REPLIES if name in row]
    if replies or "prompt" in row:
        about = row.get("about")
        known = about if isinstance(about, dict) else {}
        told = {"kind": "row", "prompt": _messages(row.get("prompt")), "replies": replies}
        return _safe({**told, "facts": _facts(known), **_source(known)}, line)
    text = json.dumps(row, indent=1, ensure_ascii=False)
    made = row.get("provenance")
    place = _place(made.get("file"), made.get("line")) if isinstance(made, dict) else {}
    return _safe({"kind": "text", "text": _short(text), "cut": 0, "facts": [], **place}, line)


def _safe(told: dict[str, Any], line: Line) -> dict[str, Any]:
    safe: dict[str, Any] = safe_all({"file": "", "line": 0, **told})
    return {**safe, "at": line.at, "open": (told.get("file", ""), told.get("line", 0))}


def _parsed(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _facts(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    known = {key: value for key, value in about.items() if value is not None and key != "source"}
    return [(str(key), _short(_plain(value), 500)) for key, value in list(known.items())[:40]]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _source(about: Mapping[str, Any]) -> dict[str, Any]:
    """The file that a row is from, and its line there (0: the file as a whole)."""
    source = about.get("source")
    if not isinstance(source, str):
        return {}
    file, _, line = source.rpartition(":")
    return _place(file, int(line)) if file and line.isdecimal() else _place(source, 0)


def _place(file: Any, line: Any) -> dict[str, Any]:
    number = line if type(line) is int and line > 0 else 0
    return {"file": file, "line": number} if isinstance(file, str) and file else {}


def _messages(prompt: Any) -> list[tuple[str, str]]:
    if isinstance(prompt, str):
        return [("prompt", _short(prompt))]
    some = prompt if isinstance(prompt, list) else []
    told = [
        (str(one.get("role", "?")), _said(one.get("content")))
        for one in some[-MOST_MESSAGES:]
        if isinstance(one, dict)
    ]
    left_out = len(some) - MOST_MESSAGES
    return [("...", f"{left_out:,} messages before"), *told] if left_out > 0 else told


def _said(value: Any) -> str:
    """A reply: a text, or messages of which the contents are said one after the other."""
    if isinstance(value, list):
        value = "\n".join(str(m.get("content")) for m in value if isinstance(m, dict))
    return _short(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _short(text: str, most: int = MOST_TEXT) -> str:
    return text if len(text) <= most else f"{text[:most]} ... ({len(text) - most:,} letters more)"
