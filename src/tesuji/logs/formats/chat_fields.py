"""A row's or a message's fields: what is read of them, and the note of what nobody reads."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from tesuji.logs.base import Refused

UNREAD = "unread"  # the note of a field begins with it
MOST_NOTED, LONGEST_NAME = 20, 40  # fields of one object, characters of a field's name
EMPTY: tuple[Any, ...] = (None, "", [], {})


class Fields:
    """The fields of an object at `path` in its row ("" for the row itself). A null is a field that
    is not there: tables write one wherever another row has a value."""

    def __init__(self, value: Mapping[Any, Any], path: str, notes: set[str]) -> None:
        self.value, self.path, self.notes = value, path, notes
        self._read: set[str] = set()

    def get(self, name: str, *others: str) -> Any:
        """A field's value; it and the others count as read."""
        self._read.update((name, *others))
        return self.value.get(name)

    def first(self, *names: str) -> tuple[str, Any]:
        """(name, value) of the first field that is there, else the first name and None."""
        for name in names:
            if (value := self.get(name)) is not None:
                return name, value
        return next((name for name in names if name in self.value), names[0]), None

    def has(self, *names: str) -> bool:
        """Whether one of these fields is there."""
        return any(self.value.get(name) is not None for name in names)

    def text(self, name: str) -> str:
        """A field that holds a text, "" where there is none. Raises Refused."""
        value = self.get(name)
        if value is not None and not isinstance(value, str):
            raise wrong(name, f"{kind_of(value)} where a text should be")
        return value or ""

    def note_unread(self) -> None:
        """Note the fields that hold something and were never asked for."""
        head = "messages[]." if self.path else ""
        unread = [n for n in self.value if n not in self._read and self.value[n] not in EMPTY]
        self.notes.update(
            f"{UNREAD} {head}{str(name)[:LONGEST_NAME]}" for name in unread[:MOST_NOTED]
        )


def json_list(value: Any, path: str) -> list[Any]:
    """A list, or the list that a JSON text holds. Raises Refused."""
    value = from_json(value, path, "a text that is no JSON where a list should be")
    if not isinstance(value, list):
        raise wrong(path, f"{kind_of(value)} where a list should be")
    return value


def from_json(value: Any, path: str, otherwise: str) -> Any:
    """What a JSON text holds; anything but a text as it is. Raises Refused, saying `otherwise`."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as error:
        raise wrong(path, otherwise) from error


@contextlib.contextmanager
def of_json(path: str) -> Iterator[None]:
    """Refuse what a table can hold and JSON cannot, such as dates and bytes."""
    try:
        yield
    except (TypeError, ValueError, RecursionError) as error:
        raise wrong(path, f"no JSON: {error}"[:200]) from error


def wrong(path: str, detail: str) -> Refused:
    """The refusal of a field."""
    return Refused("wrong_type", f"{path}: {detail}")


def kind_of(value: Any) -> str:
    """What a value of JSON is, in words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    kinds = {str: "a text", int: "a number", float: "a number", list: "a list"}
    return next((word for kind, word in kinds.items() if isinstance(value, kind)), "an object")
