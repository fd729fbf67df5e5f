"""Lines of a metric log as columns of numbers: by Arrow where there are many and all are regular,
else one by one, whatever else stands between them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tesuji.report.views.curves import LEFT_OUT

FEW = 1 << 16  # bytes that are not worth Arrow's beginning
MOST_COLUMNS = 500
TOO_LARGE = 1e300
Columns = tuple[str, NDArray[np.int64], Mapping[str, NDArray[np.float64]]]  # stage, steps, values


def columns(text: bytes) -> Iterator[Columns]:
    """Of whole lines: by stage, and by which metrics they have, the steps and each metric's values,
    not a number where a line has none. Lines that are no metrics are passed over."""
    table = _table(text) if len(text) > FEW else None
    if table is None:
        yield from _by_line(rows(text))
    else:
        yield from _of_table(table)


def rows(text: bytes) -> list[dict[str, Any]]:
    """The lines that are metrics of a step of a stage."""
    try:
        found = orjson.loads(b"[" + text.rstrip(b"\n").replace(b"\n", b",") + b"]")
    except orjson.JSONDecodeError:
        found = _readable(text.splitlines())
    return [
        row
        for row in found
        if type(row) is dict and type(row.get("stage")) is str and type(row.get("step")) is int
    ]


def _readable(lines: Iterable[bytes]) -> Iterator[Any]:
    for line in lines:
        try:
            yield orjson.loads(line)
        except orjson.JSONDecodeError:
            continue


def _table(text: bytes) -> Any:
    """The lines as an Arrow table; None where they are not all alike in what a name stands for."""
    import pyarrow as pa
    from pyarrow import json

    whole = json.ReadOptions(use_threads=False, block_size=len(text) + 1)
    try:
        table = json.read_json(pa.BufferReader(text), read_options=whole)
    except pa.ArrowException:
        return None
    names = table.column_names
    if not len(set(names)) == len(names) <= MOST_COLUMNS or not {"stage", "step"} <= set(names):
        return None
    regular = pa.types.is_integer(table["step"].type) and pa.types.is_string(table["stage"].type)
    return table if regular and not table["step"].null_count else None


def _of_table(table: Any) -> Iterator[Columns]:
    import pyarrow as pa
    import pyarrow.compute as pc

    def is_number(kind: Any) -> bool:
        return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))

    names = [f.name for f in table.schema if f.name not in LEFT_OUT and is_number(f.type)]
    for stage in table["stage"].unique().to_pylist():
        if stage is not None:
            one = table.filter(pc.equal(table["stage"], stage))
            values = {name: one[name].to_numpy().astype(np.float64) for name in names}
            yield stage, one["step"].to_numpy(), values


def _by_line(found: Iterable[Mapping[str, Any]]) -> Iterator[Columns]:
    alike: dict[tuple[str, ...], list[Any]] = defaultdict(list)
    for row in found:
        alike[row["stage"], *row].append(row)
    for (stage, *names), some in alike.items():
        kept = [name for name in names if name not in LEFT_OUT]
        steps, *values = zip(*map(itemgetter("step", "stage", *kept), some), strict=True)
        held = np.array([min(step, np.iinfo(np.int64).max) for step in steps], np.int64)
        yield stage, held, dict(zip(kept, map(_numbers, values[1:]), strict=True))


def _numbers(column: Sequence[Any]) -> NDArray[np.float64]:
    """A column as numbers; what is none is not a number there, too."""
    plain = (v if type(v) in (int, float) and abs(v) < TOO_LARGE else np.nan for v in column)
    return np.fromiter(plain, np.float64, len(column))
