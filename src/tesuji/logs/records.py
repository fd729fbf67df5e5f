"""Records out of files: JSON, JSON lines, Parquet, CSV and texts, also gzipped.

Nothing here raises for what a file holds: what cannot be read comes as `Unread`, with a reason.
Files of any size are read in bounded memory, except one JSON object, which has to fit into
`MOST_WHOLE`.
"""

import csv
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tesuji.logs.base import Importer, Record
from tesuji.logs.json_values import big_array, many_values, parsed, short, single, within
from tesuji.logs.opening import (
    MOST_VALUES,
    MOST_WHOLE,
    RATIO,
    Bad,
    Note,
    check_is_file,
    no_text,
    opened,
    suffix_of,
    text_of,
)

MOST_COLUMNS = 1000  # of a table
VALUES_A_BYTE = 100  # of a Parquet file, at most
SPACE = b"\xef\xbb\xbf \t\r\n"
ROWS, BYTES = 512, 8 << 20  # of a Parquet file at once, at most
REPORT_EVERY = 1000  # records after which it is told how far the reading is
TABLES = {".csv": ",", ".tsv": "\t"}
LINES = (".jsonl", ".ndjson")
FAULTS = (  # of files, as the libraries that read them say it
    OSError, EOFError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError,
    MemoryError, zlib.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unread:
    """A record, or a whole file, that could not even be read."""

    file: str
    line: int
    reason: str
    detail: str


Records = Iterator[Record | Unread]
TextImporter = Callable[[str, str], Importer | None]


def records(
    path: Path,
    name: str,
    text: TextImporter,
    at: Callable[[int], None] = lambda place: None,
    note: Note = lambda name: None,
) -> Records:
    """Every record of a file, called `shown` in messages; `text(suffix, beginning)` gives the
    importer of a text file, which says where its records begin. `at` is now and then told how many
    bytes of the file are read; `note` is told once how a text was read that is no UTF-8."""
    try:
        for line, value in _values(path, text, at, note):
            if isinstance(value, Bad):
                yield Unread(name, line, value.reason, value.detail)
            else:
                yield Record(value, name, line)
    except Bad as bad:
        yield Unread(name, 0, bad.reason, bad.detail)
    except UnicodeDecodeError as error:
        yield Unread(name, 0, "not_utf8", no_text(error))
    except FAULTS as error:
        yield Unread(name, 0, "unreadable", short(error))


def _values(
    path: Path, text: TextImporter, at: Callable[[int], None], note: Note
) -> Iterator[tuple[int, "Any | Bad"]]:
    check_is_file(path)
    suffix, once = suffix_of(path), _Once(note)
    with path.open("rb") as raw:
        file = opened(raw, path, once)
        for number, record in enumerate(_reader(file, suffix, text, once)):
            if number % REPORT_EVERY == REPORT_EVERY - 1:
                at(raw.tell())
            yield record


class _Once:
    """Tells each note of a file once."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._told: set[str] = set()

    def __call__(self, name: str) -> None:
        if name not in self._told:
            self._told.add(name)
            self._note(name)


def _reader(
    file: IO[bytes], suffix: str, text: TextImporter, note: Note
) -> Iterator[tuple[int, Any]]:
    if suffix == ".parquet":
        return _parquet(file)
    if suffix in LINES:
        return _lines(file, note)
    if suffix in TABLES:
        return _table(file, TABLES[suffix], note)
    return _json(file, note) if suffix == ".json" else _other(file, suffix, text, note)


def _other(
    file: IO[bytes], suffix: str, text: TextImporter, note: Note
) -> Iterator[tuple[int, Any]]:
    """A text file of a kind known by its suffix or its first words, or JSON under another name."""
    data = _whole(file)
    if data.lstrip(SPACE)[:1] in (b"{", b"[") and text(suffix, "{") is None:
        yield from _json(io.BytesIO(data), note)
        return
    words = text_of(data, note)
    if (reader := text(suffix, words[:4000])) is not None:
        yield from reader.split(words)
    elif words.lstrip()[:1] in ("{", "["):
        yield from _json(io.BytesIO(data), note)
    else:
        raise Bad("unknown_file", f"no reader for {suffix or 'a file without a suffix'}")


def _whole(file: IO[bytes]) -> bytes:
    data = file.read(MOST_WHOLE + 1)
    if len(data) > MOST_WHOLE:
        raise Bad("too_large", f"more than {MOST_WHOLE >> 20} MB in one piece")
    return data


def _json(file: IO[bytes], note: Note) -> Iterator[tuple[int, Any]]:
    """One object, an array of records (item by item), or JSON lines under the wrong name."""
    data = file.read(MOST_WHOLE + 1)
    if len(data) > MOST_WHOLE or many_values(data):
        if data.lstrip(SPACE)[:1] != b"[":
            raise Bad("too_large", f"one object of more than {MOST_WHOLE >> 20} MB")
        del data
        file.seek(0)
        yield from big_array(file)
        return
    if not data.strip():
        raise Bad("empty", "nothing in it")
    try:
        value = parsed(data, note)
    except Bad as bad:
        if bad.reason == "not_json" and _looks_like_lines(data):
            yield from _lines(io.BytesIO(data), note)
            return
        raise
    if value == []:
        raise Bad("empty", "an array without anything in it")
    several = isinstance(value, list) or within(value) is not value
    yield from enumerate(single(value), start=1) if several else [(0, value)]


def _looks_like_lines(data: bytes) -> bool:
    first, _, rest = data.strip().partition(b"\n")
    try:
        return bool(rest) and isinstance(parsed(first, lambda name: None), dict)
    except Bad:
        return False


def _lines(file: IO[bytes], note: Note) -> Iterator[tuple[int, Any]]:
    number, empty = 0, True
    while line := file.readline(MOST_WHOLE):
        number += 1
        if not line.endswith(b"\n") and len(line) == MOST_WHOLE:
            while rest := file.readline(MOST_WHOLE):
                if rest.endswith(b"\n"):
                    break
            yield number, Bad("too_large", f"a line of more than {MOST_WHOLE >> 20} MB")
            empty = False
        elif line.strip():
            empty = False
            try:
                yield from ((number, value) for value in single(parsed(line, note)))
            except Bad as bad:
                yield number, bad
    if empty:
        raise Bad("empty", "nothing in it")


def _table(file: IO[bytes], delimiter: str, note: Note) -> Iterator[tuple[int, Any]]:
    csv.field_size_limit(MOST_WHOLE)
    rows = csv.DictReader(_words(file, note), delimiter=delimiter)
    empty = True
    try:
        if len(rows.fieldnames or ()) > MOST_COLUMNS:
            raise Bad("too_large", f"more than {MOST_COLUMNS:,} columns")
        for row in rows:
            empty = False
            yield rows.line_num, {key: value for key, value in row.items() if key is not None}
    except csv.Error as error:
        raise Bad("not_csv", short(error)) from error
    if empty:
        raise Bad("empty", "no rows in it")


def _words(file: IO[bytes], note: Note) -> Iterator[str]:
    """The lines of a table as text."""
    while line := file.readline(MOST_WHOLE):
        if len(line) == MOST_WHOLE:
            raise Bad("too_large", f"a line of more than {MOST_WHOLE >> 20} MB")
        yield from text_of(line, note).splitlines(keepends=True)


def _parquet(file: IO[bytes]) -> Iterator[tuple[int, Any]]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    if isinstance(file, io.BufferedReader) and isinstance(file.raw, io.RawIOBase):
        file = file if isinstance(file.raw, io.FileIO) else io.BytesIO(_whole(file))
    try:
        with pyarrow.parquet.ParquetFile(file) as table:
            _check_sizes(table.metadata, file)
            for batch in table.iter_batches(batch_size=rows_at_once(table.metadata)):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except pyarrow.ArrowException as error:
        raise Bad("not_parquet", short(error)) from error
    if not number:
        raise Bad("empty", "no rows in it")


def _check_sizes(metadata: Any, file: IO[bytes]) -> None:
    """Raises Bad where a small file says that it holds a large table: so do bombs."""
    file_size = file.seek(0, io.SEEK_END)
    groups = [metadata.row_group(n) for n in range(metadata.num_row_groups)]
    columns = [group.column(n) for group in groups for n in range(group.num_columns)]
    unpacked = sum(column.total_uncompressed_size for column in columns)
    if unpacked > max(MOST_WHOLE, RATIO * file_size):
        raise Bad("too_large", f"it unpacks to more than {RATIO} times its size")
    values = sum(column.num_values for column in columns)
    if values > max(MOST_VALUES, VALUES_A_BYTE * file_size):
        raise Bad("too_large", f"{values:,} values in {file_size:,} bytes")


def rows_at_once(metadata: Any) -> int:
    """As many as fit into `BYTES`, by the file's own word; rows may hold whole games."""
    size = sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
    return max(1, min(ROWS, BYTES * metadata.num_rows // max(1, size)))
