"""What is in a JSONL file of rows, pairs or prompts by itself, whoever wrote it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from tesuji.core.errors import DataError
from tesuji.core.files import read_jsonl
from tesuji.datasets.describe.distributions import LONGER, MOST, doublings, quantiles
from tesuji.datasets.files import read_pairs, read_rows

TABLES = ("game", "role", "phase", "type", "won", "by", "near")
LABEL = 40  # characters; a longer reply is no label

Counts = dict[str, int]


def bare_statistics(path: Path) -> dict[str, Any]:
    """The kind of file, how many rows, lengths and tables of facts. Raises DataError for a file
    that cannot be read, is empty, or holds something else."""
    first = next((row for _, row in islice(read_jsonl(path), 1)), None)
    fields = set(first) if isinstance(first, Mapping) else set()
    if {"chosen", "rejected"} <= fields:
        return _pairs(path)
    if {"completion", "response"} & fields:
        return _rows(path)
    raise DataError(
        "no rows" if first is None else "neither rows nor pairs",
        where=str(path),
        hint="a row has `prompt` and `completion`, a pair `prompt`, `chosen` and `rejected`; "
        "`tesuji data import` reads other shapes",
    )


def _rows(path: Path) -> dict[str, Any]:
    prompts: list[int] = []
    replies: list[int] = []
    met: Counter[int] = Counter()
    labels: Counter[str] = Counter()
    about: list[Mapping[str, Any]] = []
    for row in read_rows(path):
        prompts.append(sum(len(message["content"]) for message in row.prompt))
        replies.append(len(row.reply))
        met[hash((str(row.prompt), row.reply))] += 1
        labels[row.reply if len(row.reply) <= LABEL else "(longer)"] += 1
        about.append(row.about)
    return {
        "rows": len(prompts),
        "repeated": met.total() - len(met),
        **_common(about, prompts),
        "reply_characters": quantiles(replies),
        "reply_lengths": doublings(replies),
        "replies": dict(labels.most_common(MOST)),
        "warnings": [],
    }


def _pairs(path: Path) -> dict[str, Any]:
    prompts: list[int] = []
    sizes: list[tuple[int, int]] = []
    keys: Counter[tuple[int, str, str]] = Counter()
    about: list[Mapping[str, Any]] = []
    for pair in read_pairs(path):
        prompts.append(sum(len(message["content"]) for message in pair.prompt))
        sizes.append((len(pair.chosen), len(pair.rejected)))
        keys[hash(str(pair.prompt)), pair.chosen.strip(), pair.rejected.strip()] += 1
        about.append(pair.about)
    equal = sum(count for (_, good, bad), count in keys.items() if good == bad)
    contrary = sum(
        n for (p, good, bad), n in keys.items() if good != bad and (p, bad, good) in keys
    )
    means = [round(sum(side) / len(side), 2) for side in zip(*sizes, strict=True)]
    stats = {
        "pairs": len(sizes),
        "repeated": keys.total() - len(keys),
        "equal": equal,
        "contradictory": contrary,
        "mean_characters_chosen": means[0],
        "mean_characters_rejected": means[1],
        **_common(about, prompts),
    }
    return {**stats, "warnings": list(_warnings(stats))}


def _warnings(stats: Mapping[str, Any]) -> Iterable[str]:
    for what in ("equal", "contradictory"):
        if stats[what]:
            yield f"{stats[what]:,} {what} pair{'' if stats[what] == 1 else 's'}"
    good, bad = stats["mean_characters_chosen"], stats["mean_characters_rejected"]
    if max(good, bad) > LONGER * max(1.0, min(good, bad)):
        yield f"length bias: chosen replies have {good:,.0f} characters, rejected ones {bad:,.0f}"


def _common(about: list[Mapping[str, Any]], prompts: list[int]) -> dict[str, Any]:
    matches = {str(facts["match"]) for facts in about if facts.get("match")}
    return {
        "matches": len(matches),
        **{name: table for name in TABLES if (table := _table(about, name))},
        "prompt_characters": quantiles(prompts),
        "prompt_lengths": doublings(prompts),
    }


def _table(about: list[Mapping[str, Any]], name: str) -> Counts:
    values = Counter(
        _said(facts[name]) for facts in about if facts.get(name) not in (None, "", {}, [])
    )
    return dict(values.most_common(MOST))


def _said(value: Any) -> str:
    """A fact in words: nothing that looks like Python."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_said(inner)}" for name, inner in value.items())
    return ", ".join(map(_said, value)) if isinstance(value, list) else str(value)
