"""One record at a time: read, written where it belongs, and counted, or refused with a reason."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import islice
from typing import IO, Any

import orjson

from tesuji.core.types import Episode, Pair
from tesuji.episodes.store import episode_to_row
from tesuji.logs.base import Importer, Record, Refused, too_long
from tesuji.logs.records import Unread
from tesuji.logs.registry import importer, importer_for, text_importers
from tesuji.logs.summary import ImportSummary

BROKE_OFF = {  # games that are left out, in words
    "no_actions": "no move of a player whose view it is",
    "error": "the game broke off",
    "timeout": "somebody's time ran out",
}
STRANGE = ("unknown_kind", "not_json")
MOST_STRANGE = 50_000  # records of a file in unknown shapes, none in a known one, before it is left


class Taker:
    """Takes records of one kind, or of "auto": of any. `into` are the open output files by name;
    `include` names the games that are taken though they broke off."""

    def __init__(
        self,
        format: str,
        include: Collection[str],
        summary: ImportSummary,
        into: Mapping[str, IO[bytes]],
    ) -> None:
        self.format, self.include = format, include
        self.summary, self.into = summary, into
        self.likely: tuple[str, ...] = ()  # what the record before was
        self.strange = 0  # records of this file in unknown shapes, as long as no other was met

    def text_importer(self, suffix: str, beginning: str) -> Importer | None:
        """Who reads a text file: by its suffix, else by its first words."""
        able = text_importers() if self.format == "auto" else (importer(self.format),)
        able = tuple(one for one in able if one.reads == "text")
        named = [one for one in able if suffix in one.suffixes]
        return next((one for one in named or able if named or one.fits(beginning)), None)

    def given_up(self, path_name: str) -> bool:
        """Whether the file is no log at all: so many records of no known shape, none taken. That
        the rest is left unread is put down as one more record."""
        if self.strange < MOST_STRANGE:
            return False
        what = (
            f"none of its first {MOST_STRANGE:,} records is of a known shape; the rest is not read"
        )
        self(Unread(path_name, 0, "no_log", what))
        return True

    def note(self, name: str) -> None:
        """Count something odd about a file."""
        self.summary.notes[name] += 1

    def __call__(self, record: Record | Unread) -> None:
        """Take one record."""
        kind = ""
        try:
            if isinstance(record, Unread):
                raise Refused(record.reason, record.detail)
            reader = self._importer(record.value)
            kind = reader.kind
            if isinstance(record.value, str) and (why := too_long(record.value, reader.most_text)):
                raise Refused("too_large", why)
            self._write(kind, _located(reader.read(record), record))
        except Refused as refused:
            self._refuse(record, kind, refused.reason, refused.detail)
        except RecursionError:
            self._refuse(record, kind, "too_deep", "nested too deeply")
        except OSError:  # of the files written, such as a full disk
            raise
        except Exception as error:  # a fault of an importer must not stop all other files
            self._refuse(record, kind, "broken", f"{type(error).__name__}: {error}"[:300])

    def _importer(self, value: Any) -> Importer:
        reads = "text" if isinstance(value, str) else "value"
        if self.format == "auto":
            reader = importer_for(value, reads, self.likely)
        else:
            reader = importer(self.format) if importer(self.format).reads == reads else None
        if reader is None:
            raise Refused("unknown_kind", f"no importer knows this shape{_fields(value)}")
        chat = reader.kind == "chat"  # which many shapes look like
        self.likely = () if chat else (reader.kind,)
        return reader

    def _write(self, kind: str, item: Episode | Pair) -> None:
        line = _line(item)
        if isinstance(item, Episode):
            left_out = item.provenance.get("left_out")
            if left_out and left_out not in self.include:
                raise Refused(str(left_out), _broke_off(str(left_out), item.reason))
        self.summary.accept(kind, item)
        self.strange = -1
        self.into["pairs.jsonl" if isinstance(item, Pair) else "episodes.jsonl"].write(line)

    def _refuse(self, record: Record | Unread, kind: str, reason: str, detail: str) -> None:
        self.summary.reject(reason)
        if self.strange >= 0:
            self.strange = self.strange + 1 if reason in STRANGE else -1
        where = {"file": record.file, "line": record.line, "kind": kind}
        texts = {name: _plain(text) for name, text in (("reason", reason), ("detail", detail))}
        self.into["quarantine.jsonl"].write(orjson.dumps({**where, **texts}) + b"\n")


def _broke_off(why: str, words: str) -> str:
    """Why a game is left out, in its own words too if they say more, and how to take it."""
    known = BROKE_OFF.get(why, why)
    detail = f": {words}" if words and words.lower() != why else ""
    return f"{known}{detail} (taken with --include {why})"


def _located(item: Episode | Pair, record: Record) -> Episode | Pair:
    """The item with the place it was found in."""
    where = f"{record.file}:{record.line}" if record.line else record.file
    if isinstance(item, Pair):
        return replace(item, about={**item.about, "source": where})
    place = {"file": record.file, **({"line": record.line} if record.line else {})}
    match = item.provenance.get("match") or where
    return replace(item, provenance={**item.provenance, "match": str(match), **place})


def _line(item: Episode | Pair) -> bytes:
    """The item as a line of JSON. Raises Refused: `not_storable`."""
    try:
        if isinstance(item, Episode):
            return orjson.dumps(episode_to_row(item)) + b"\n"
        row = {"prompt": list(item.prompt), "chosen": item.chosen, "rejected": item.rejected}
        return orjson.dumps({**row, "about": dict(item.about)}) + b"\n"
    except (TypeError, ValueError) as error:  # half a character, a number of forty digits
        raise Refused("not_storable", str(error)[:300]) from error


def _fields(value: Any) -> str:
    """The first fields of an object, by which one may know what it is."""
    if not isinstance(value, Mapping) or not value:
        return ""
    names = [str(name)[:20] for name in islice(value, 5)]
    return f"; its fields: {', '.join(names)}{', ...' if len(value) > 5 else ''}"


def _plain(text: str) -> str:
    """Text without halves of characters, which UTF-8 cannot hold."""
    return text.encode("utf-8", "backslashreplace").decode()
