"""Several models on the same held-out rows, side by side: base, and after each stage.

    lines = side_by_side({"before": base, "after sft": sft})

A line is a measure for everyone ("of": "all") or for one role, with a cell for each model
`{"label", "value", "low", "high", "count"}`; shares go from 0 to 1, and `kind` tells them from
numbers.
`beside` is what the figure is to be held against, `beside_is` says what that is: a coin, a random
valid target, the commonest training label, what was said in the games. `better` says which way is
good news, "" neither.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

from tesuji.core.files import read_beside
from tesuji.core.statistics import Interval, Share
from tesuji.evaluation.held_out.results import RowsScore

EVERYONE = "all"
BY_ROLE = ("likelihood", "preferences", "replies", "decisions")  # fields of a score, by role too


@dataclass(frozen=True, slots=True)
class Measure:
    """One line: where its figure is found in what a score says of everyone or of a role, and what
    stands beside it. A path that leads nowhere: not measured."""

    name: str
    kind: Literal["share", "number"]
    better: Literal["higher", "lower", ""]
    path: str
    beside_is: str = ""
    beside: str | float = ""

    def cell(self, label: str, part: Mapping[str, Any]) -> dict[str, Any]:
        """The figure with its interval, where it has one. Whole numbers are counts of replies."""
        holder, name = self.path.rsplit(".", 1)
        measured, value = _at(part, holder), _at(part, self.path)
        if value is None or (isinstance(value, Share) and not value.total):
            return {"label": label, "value": None, "low": None, "high": None, "count": 0}
        bounds: Interval | None
        if isinstance(value, Share):
            bounds, count, value = value.interval, value.total, value.rate
        else:
            bounds, count = getattr(measured, f"{name}_interval", None), measured.replies
            value = value / count if self.kind == "share" else float(value)
        low, high = (bounds.low, bounds.high) if bounds else (None, None)
        if high is not None and not math.isfinite(high):
            low = high = None
        return {"label": label, "value": value, "low": low, "high": high, "count": count}

    def held_against(self, part: Mapping[str, Any]) -> float | None:
        """What the figure is to be held against."""
        return _at(part, self.beside) if isinstance(self.beside, str) else self.beside


def side_by_side(scores: Mapping[str, RowsScore]) -> list[dict[str, Any]]:
    """The lines of the table: each measure for everyone, then by role; what nobody was measured
    on is left out."""
    return [line for measure in MEASURES for line in _lines(measure, scores)]


def _lines(measure: Measure, scores: Mapping[str, RowsScore]) -> Iterator[dict[str, Any]]:
    groups = (getattr(score, f"{name}_by_role") for score in scores.values() for name in BY_ROLE)
    for role in (EVERYONE, *sorted({role for group in groups for role in group})):
        parts = {label: _part(score, role) for label, score in scores.items()}
        cells = [measure.cell(label, part) for label, part in parts.items()]
        if not any(cell["count"] for cell in cells):
            continue
        known = [measure.held_against(part) for part in parts.values()]
        yield {
            "measure": measure.name,
            "kind": measure.kind,
            "better": measure.better,
            "of": role,
            "cells": cells,
            "beside": next((value for value in known[::-1] if value is not None), None),
            "beside_is": measure.beside_is,
        }


def _part(score: RowsScore, role: str) -> dict[str, Any]:
    """What the score says of everyone, or of one role; there decisions are (action, exact)."""
    if role == EVERYONE:
        return {name: getattr(score, name) for name in BY_ROLE}
    part = {name: getattr(score, f"{name}_by_role").get(role) for name in BY_ROLE}
    if part["decisions"]:
        part["decisions"] = dict(zip(("action", "exact"), part["decisions"], strict=True))
    return part


def _at(part: Any, path: str) -> Any:
    """What stands at the end of a path of keys and fields; None where a step of it is missing."""

    def step(value: Any, name: str) -> Any:
        return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)

    return reduce(step, path.split("."), part)


MEASURES = tuple(Measure(**one) for one in read_beside(__file__, "measures.yaml"))
