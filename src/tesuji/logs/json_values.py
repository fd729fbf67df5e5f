"""JSON of other people: parsed with limits on depth and number, taken apart into records.

Small files of brackets can take gigabytes of memory: values are counted before they are made, and
arrays too large for that are read item by item.
"""

import json
from collections.abc import Iterator
from typing import IO, Any

import orjson

from tesuji.core.errors import first_line
from tesuji.logs.opening import MOST_VALUES, Bad, Note, no_text, text_of

MOST_DEPTH = 200  # of JSON in an array that is read item by item
DEEPEST = 8  # lists in lists that are taken apart


def many_values(data: bytes) -> bool:
    """Whether JSON would take far more memory than its bytes."""
    return len(data) > MOST_VALUES and sum(map(data.count, (b",", b"[", b"{"))) > MOST_VALUES


def big_array(file: IO[bytes]) -> Iterator[tuple[int, Any]]:
    """The items of an array, one in memory at a time. Raises Bad where one is too deep or large."""
    import ijson

    number = 0
    try:
        for item in _items(ijson.basic_parse(file, use_float=True)):
            for value in single(item):
                number += 1
                yield number, value
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise Bad("not_json", short(error)) from error


def _items(events: Iterator[tuple[str, Any]]) -> Iterator[Any]:
    from ijson import ObjectBuilder

    next(events)  # the array's beginning
    builder, depth, size = ObjectBuilder(), 0, 0
    for event, value in events:
        depth += (event in ("start_map", "start_array")) - (event in ("end_map", "end_array"))
        if depth < 0:
            return
        size += 1 + (len(value) >> 7 if isinstance(value, str) else 0)
        if depth > MOST_DEPTH:
            raise Bad("too_deep", f"nested more than {MOST_DEPTH} deep")
        if size > MOST_VALUES:
            raise Bad("too_large", f"one item of more than {MOST_VALUES:,} values")
        builder.event(event, value)
        if depth == 0:
            yield builder.value
            builder, size = ObjectBuilder(), 0


def parsed(data: bytes, note: Note) -> Any:
    """JSON; Python's own NaN and Infinity are taken too, as many scripts write them."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    if many_values(data):
        raise Bad("too_large", f"more than {MOST_VALUES:,} values in one piece")
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if "depth limit" in str(error) or "ecursion" in str(error):
            raise Bad("too_deep", "nested too deeply") from error
        try:
            text = data.decode()
        except UnicodeDecodeError as bad:
            try:
                return orjson.loads(text_of(data, note))
            except UnicodeDecodeError:
                raise Bad("not_utf8", no_text(bad)) from bad
            except orjson.JSONDecodeError:
                raise Bad("not_json", short(error)) from error
        return _with_nan(text, error)


def _with_nan(text: str, error: Exception) -> Any:
    if "NaN" not in text and "Infinity" not in text:
        raise Bad("not_json", short(error)) from error
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Bad("not_json", short(error)) from error


def single(value: Any, depth: int = 0) -> Iterator[Any]:
    """The records in a value, one by one: of lists in lists, and of `{"games": [...]}`. An empty
    list is a record, which is then refused."""
    inside = within(value)
    if not isinstance(inside, list) or not inside or depth > DEEPEST:
        yield value
        return
    for item in inside:
        yield from single(item, depth + 1)


def within(value: Any) -> Any:
    """The list that is all an envelope is for, else the value itself."""
    games = value.get("games") if isinstance(value, dict) else None
    return games if isinstance(games, list) and games else value


def short(error: BaseException) -> str:
    """The first line of what an error says."""
    return first_line(error)[:300]
