"""Preference pairs that stand in logs as such, as small facts; their texts are read again."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tesuji.core.errors import DataError
from tesuji.datasets.columns import OF_PAIR, facts_of, known
from tesuji.datasets.from_logs.candidates import (
    WRONG,
    hash_of,
    json_rows,
    opening_key,
    talk_hash,
    type_of,
)

Key = tuple[int, int, int]


@dataclass(slots=True)
class LogPair:
    """One pair: where it stands, its side of the split, what statistics need, and the names of the
    facts that are known of it."""

    index: int
    match: str
    game: str
    by: str
    near: str
    type: str
    key: Key
    sizes: tuple[int, int]
    facts: frozenset[str]


def log_pairs(path: Path) -> list[LogPair]:
    """The pairs of a file; none where there is no such file. Raises DataError for a broken row."""
    if not path.exists():
        return []
    pairs = []
    for index, (where, row) in enumerate(json_rows(path)):
        try:
            pairs.append(_pair(index, row))
        except WRONG as error:
            raise DataError(f"not a pair: {error}", where=where) from error
    return pairs


def _pair(index: int, row: Mapping[str, Any]) -> LogPair:
    prompt, about = row["prompt"], row.get("about") or {}
    chosen, rejected = row["chosen"], row["rejected"]
    game, phase = str(about.get("game") or ""), str(about.get("phase") or "")
    return LogPair(
        index,
        str(about.get("match") or opening_key(prompt)),
        game,
        str(about.get("by") or "log"),
        str(about.get("near") or "prompt"),
        str(about.get("type") or type_of(game, phase, None if game else "chat")),
        (talk_hash(prompt), hash_of(chosen.strip()), hash_of(rejected.strip())),
        (len(chosen), len(rejected)),
        _shared(known(facts_of(about, OF_PAIR))),
    )


@cache
def _shared(names: frozenset[str]) -> frozenset[str]:
    """One object for all pairs of which the same is known."""
    return names
