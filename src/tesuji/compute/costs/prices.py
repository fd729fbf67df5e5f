"""What a machine costs an hour: as its owner says now, else as the table beside this file has it.

A price of the table carries its day, and one that is old is told: prices of GPUs moved by a fifth
within three months.
"""

import datetime
from collections.abc import Callable
from typing import Any

from tesuji.compute.base import Price, Wish
from tesuji.core.errors import ComputeError, TesujiError, did_you_mean
from tesuji.core.files import read_beside
from tesuji.pipeline.forecast.gpus import gpu_of

OLD_DAYS = 60
CORES, GIB = 4.0, 16.0  # a GPU, where a wish names none and its lender bills them apart
READER_CORES, READER_GIB = 1.0, 2.0  # of a container that reads logs
LIVE = Callable[[Wish], Price]


def price_of(wish: Wish, live: LIVE | None = None) -> Price:
    """Dollars an hour of all that was wished for: from `live` where that answers, else the table.

    Raises ComputeError where neither knows the GPU.
    """
    if live is not None:
        try:
            return live(wish)
        except TesujiError:  # no key, no network, no SDK: the table knows what it was
            pass
    return table_price(wish)


def table_price(wish: Wish) -> Price:
    """As the table has it. Raises ComputeError for a lender or GPU that is not in it."""
    kind = wish.on.partition(":")[0]
    if kind == "ssh":
        return Price(0.0, "free")
    table = read_beside(__file__, "prices.yaml").get(kind)
    if table is None:
        raise ComputeError(
            f"no prices of {wish.on!r} are known", where="--on", hint="modal, runpod"
        )
    return _modal(wish, table) if kind == "modal" else _runpod(wish, table)


def _modal(wish: Wish, table: dict[str, Any]) -> Price:
    """GPUs, cores and memory are billed apart; regions and machines kept to the end cost more."""
    gpus = table["gpus"]
    each = _of(wish, {name: gpus[name] for name in gpus}) if wish.gpu else 0.0
    number = wish.count if wish.gpu else 1
    cores, gib = (wish.cpus or CORES * number), (wish.memory_gb or GIB * number)
    cores, gib = cores + wish.readers * READER_CORES, gib + wish.readers * READER_GIB
    dollars = each * wish.count + cores * table["core"] + gib * table["gib"]
    for name, times in table["multipliers"].items():
        if wish.options.get(name, "").lower() not in ("", "0", "false", "no"):
            dollars *= times
    return Price(round(dollars, 4), "table", str(table["date"]))


def _runpod(wish: Wish, table: dict[str, Any]) -> Price:
    cloud = wish.options.get("cloud", "SECURE").upper()
    rows = {row["gpu"]: row for row in table["rows"] if row["cloud"] == cloud}
    row = _of(wish, rows)
    return Price(row["dollars"] * wish.count, "table", str(row.get("date", "")))


def _of(wish: Wish, known: dict[str, Any]) -> Any:
    gpu = gpu_of(wish.gpu)
    name = gpu.name if gpu else wish.gpu
    if name in known:
        return known[name]
    hint = did_you_mean(name, known) + f"known: {', '.join(known)}"
    raise ComputeError(f"no price of {wish.gpu or 'no GPU'!r} on {wish.on} is known", hint=hint)


def words_of(price: Price, today: datetime.date | None = None) -> str:
    """`$2.41 an hour, of 2026-07-01: 152 days old`; nothing more where it is live or new."""
    if price.source == "free":
        return "nothing: it is yours"
    dollars = f"${price.dollars_per_hour:.2f} an hour"
    if price.source == "live":
        return f"{dollars}, as its owner says now"
    if not price.date:
        return f"{dollars}, of a day that nobody noted: look it up before you rely on it"
    age = ((today or datetime.date.today()) - datetime.date.fromisoformat(price.date)).days
    old = f": {age} days old, look it up before you rely on it" if age > OLD_DAYS else ""
    return f"{dollars}, of {price.date}{old}"
