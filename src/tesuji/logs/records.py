"""Records out of files: JSON, JSON lines, Parquet, CSV and texts, also gzipped.

Nothing here raises for what a file holds: what cannot be read comes as `Unread`, with a reason.
Files of any size are read in bounded memory, except one JSON object, which has to fit into
`MOST_WHOLE`.
"""

import csv
import gzip
import io
import json
import stat
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from tesuji.logs.base import Importer, Record

MOST_WHOLE = 64 << 20  # bytes of a file, or of a line, read at once
ROWS, BYTES = 512, 8 << 20  # of a Parquet file at once, at most
DEEPEST = 8  # lists in lists that are taken apart
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


class _Bad(Exception):
    """What is wrong with a file or a line: `reason` in a word, `detail` in a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def records(
    path: Path, name: str, text: TextImporter, at: Callable[[int], None] = lambda place: None
) -> Records:
    """Every record of a file, called `shown` in messages; `text(suffix, beginning)` gives the
    importer of a text file, which says where its records begin. `at` is now and then told how many
    bytes of the file are read."""
    try:
        for line, value in _values(path, text, at):
            if isinstance(value, _Bad):
                yield Unread(name, line, value.reason, value.detail)
            else:
                yield Record(value, name, line)
    except _Bad as bad:
        yield Unread(name, 0, bad.reason, bad.detail)
    except UnicodeDecodeError as error:
        yield Unread(name, 0, "not_utf8", f"byte {error.start} is no UTF-8")
    except FAULTS as error:
        yield Unread(name, 0, "unreadable", _short(error))


def _values(
    path: Path, text: TextImporter, at: Callable[[int], None]
) -> Iterator[tuple[int, "Any | _Bad"]]:
    _check_is_file(path)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    zipped = bool(suffixes) and suffixes[-1] == ".gz"
    suffix = ((suffixes[:-1] if zipped else suffixes)[-1:] or [""])[0]
    with path.open("rb") as raw:
        file: Any = gzip.GzipFile(fileobj=raw) if zipped else raw
        for number, record in enumerate(_reader(file, suffix, text)):
            if number % REPORT_EVERY == REPORT_EVERY - 1:
                at(raw.tell())
            yield record


def _check_is_file(path: Path) -> None:
    """A pipe would be waited for, and a folder is no file."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode) and path.is_symlink():
        raise _Bad("link_to_folder", "links are not followed; name the folder itself")
    if stat.S_ISDIR(mode):
        raise _Bad("unreadable", "a folder that cannot be opened")
    if not stat.S_ISREG(mode):
        raise _Bad("not_a_file", "neither a file nor a folder")


def _reader(file: IO[bytes], suffix: str, text: TextImporter) -> Iterator[tuple[int, Any]]:
    if suffix == ".parquet":
        return _parquet(file)
    if suffix in LINES:
        return _lines(file)
    if suffix in TABLES:
        return _table(file, TABLES[suffix])
    return _json(file) if suffix == ".json" else _other(file, suffix, text)


def _other(file: IO[bytes], suffix: str, text: TextImporter) -> Iterator[tuple[int, Any]]:
    """A text file of a kind known by its suffix or its first words, or JSON under another name."""
    data = _whole(file)
    words = data.decode("utf-8-sig")
    if (reader := text(suffix, words[:4000])) is not None:
        yield from reader.split(words)
    elif words.lstrip()[:1] in ("{", "["):
        yield from _json(io.BytesIO(data))
    else:
        raise _Bad("unknown_file", f"no reader for {suffix or 'a file without a suffix'}")


def _whole(file: IO[bytes]) -> bytes:
    data = file.read(MOST_WHOLE + 1)
    if len(data) > MOST_WHOLE:
        raise _Bad("too_large", f"more than {MOST_WHOLE >> 20} MB in one piece")
    return data


def _json(file: IO[bytes]) -> Iterator[tuple[int, Any]]:
    """One object, an array of records (item by item), or JSON lines under the wrong name."""
    data = file.read(MOST_WHOLE + 1)
    if len(data) > MOST_WHOLE:
        if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"[":
            raise _Bad("too_large", f"one object of more than {MOST_WHOLE >> 20} MB")
        file.seek(0)
        yield from _big_array(file)
        return
    if not data.strip():
        raise _Bad("empty", "nothing in it")
    try:
        value = _parsed(data)
    except _Bad as bad:
        if bad.reason == "not_json" and _looks_like_lines(data):
            yield from _lines(io.BytesIO(data))
            return
        raise
    if value == []:
        raise _Bad("empty", "an array without anything in it")
    several = isinstance(value, list) or _within(value) is not value
    yield from enumerate(single(value), start=1) if several else [(0, value)]


def single(value: Any, depth: int = 0) -> Iterator[Any]:
    """The records in a value, one by one: of lists in lists, and of `{"games": [...]}`. An empty
    list is a record, which is then refused."""
    inside = _within(value)
    if not isinstance(inside, list) or not inside or depth > DEEPEST:
        yield value
        return
    for item in inside:
        yield from single(item, depth + 1)


def _within(value: Any) -> Any:
    """The list that is all an envelope is for, else the value itself."""
    games = value.get("games") if isinstance(value, dict) else None
    return games if isinstance(games, list) and games else value


def _big_array(file: IO[bytes]) -> Iterator[tuple[int, Any]]:
    import ijson

    try:
        items = ijson.items(file, "item", use_float=True)
        yield from enumerate((value for item in items for value in single(item)), start=1)
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise _Bad("not_json", _short(error)) from error


def _looks_like_lines(data: bytes) -> bool:
    first, _, rest = data.strip().partition(b"\n")
    try:
        return bool(rest) and isinstance(_parsed(first), dict)
    except _Bad:
        return False


def _lines(file: IO[bytes]) -> Iterator[tuple[int, Any]]:
    number, empty = 0, True
    while line := file.readline(MOST_WHOLE):
        number += 1
        if not line.endswith(b"\n") and len(line) == MOST_WHOLE:
            while rest := file.readline(MOST_WHOLE):
                if rest.endswith(b"\n"):
                    break
            yield number, _Bad("too_large", f"a line of more than {MOST_WHOLE >> 20} MB")
            empty = False
        elif line.strip():
            empty = False
            try:
                yield from ((number, value) for value in single(_parsed(line)))
            except _Bad as bad:
                yield number, bad
    if empty:
        raise _Bad("empty", "nothing in it")


def _parsed(data: bytes) -> Any:
    """JSON; Python's own NaN and Infinity are taken too, as many scripts write them."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        try:
            return json.loads(data.decode())
        except UnicodeDecodeError as bad:
            raise _Bad("not_utf8", f"byte {bad.start} is no UTF-8") from bad
        except (ValueError, RecursionError):
            raise _Bad("not_json", _short(error)) from error


def _table(file: IO[bytes], delimiter: str) -> Iterator[tuple[int, Any]]:
    csv.field_size_limit(MOST_WHOLE)
    words = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    rows = csv.DictReader(words, delimiter=delimiter)
    empty = True
    try:
        for row in rows:
            empty = False
            yield rows.line_num, {key: value for key, value in row.items() if key is not None}
    except csv.Error as error:
        raise _Bad("not_csv", _short(error)) from error
    if empty:
        raise _Bad("empty", "no rows in it")


def _parquet(file: IO[bytes]) -> Iterator[tuple[int, Any]]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(file) as table:
            for batch in table.iter_batches(batch_size=rows_at_once(table.metadata)):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except pyarrow.ArrowException as error:
        raise _Bad("not_parquet", _short(error)) from error
    if not number:
        raise _Bad("empty", "no rows in it")


def rows_at_once(metadata: Any) -> int:
    """As many as fit into `BYTES`, by the file's own word; rows may hold whole games."""
    size = sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
    return max(1, min(ROWS, BYTES * metadata.num_rows // max(1, size)))


def _short(error: BaseException) -> str:
    words = str(error).strip().splitlines()
    return (words[0] if words else type(error).__name__)[:300]
