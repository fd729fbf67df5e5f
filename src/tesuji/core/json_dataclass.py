"""Frozen dataclasses to plain JSON values and back, checked on the way in.

JSON has no NaN and no infinities: they are written as the strings "NaN", "Infinity" and
"-Infinity", which a float field reads again. A lone surrogate in a text, which UTF-8 cannot
hold, becomes U+FFFD. Tuples inside free-form fields (`options`) come back as lists.
"""

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from tesuji.core.errors import DataError

T = TypeVar("T")


class Codec(Generic[T]):
    """Reads and writes one dataclass that has a `format` number.

    `noun` names it in messages ("an episode"); `newest` is the newest format known here.
    """

    def __init__(self, kind: type[T], noun: str, newest: int) -> None:
        self.kind = kind
        self.noun = noun
        self.newest = newest

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self.kind)

    def dump(self, value: T, *, compact: bool = False) -> dict[str, Any]:
        """Plain JSON values, `format` first. `compact` leaves out fields at their default."""
        row = self._adapter.dump_python(value, mode="json", exclude_defaults=compact)
        return {"format": row.get("format", self.newest), **json_safe(row)}

    def load(self, row: Any, where: str = "") -> T:
        """The dataclass again.

        Raises DataError, naming the field, when something is missing, unknown or of the wrong
        type, or when the row was written in a newer format.
        """
        if not isinstance(row, Mapping):
            raise DataError(f"{self.noun} must be a JSON object", where=where)
        version = row.get("format", self.newest)
        if isinstance(version, int) and version > self.newest:
            what = f"{self.noun} in format {version}: the newest known here is {self.newest}"
            raise DataError(what, where=where, hint="update tesuji")
        try:
            return self._adapter.validate_python(row, extra="forbid")
        except ValidationError as error:
            raise DataError(f"not {self.noun}: {_first_problem(error)}", where=where) from error


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{field}: {first['msg']}{more}"


def json_safe(value: Any) -> Any:
    """The same value with everything replaced that strict JSON in UTF-8 cannot hold."""
    if type(value) is int or value is None or (type(value) is str and value.isascii()):
        return value  # most values are one of these: imports of many logs wait for this
    if isinstance(value, dict):
        return {json_safe(key): json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value
