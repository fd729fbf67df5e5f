"""Held-out rows for page and terminal: a line a measure, a cell a model."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from tesuji.core.statistics import Interval
from tesuji.evaluation.held_out.compare_models import EVERYONE, side_by_side
from tesuji.evaluation.held_out.results import Likelihood, Preferences, RowsScore
from tesuji.evaluation.results import Evaluation
from tesuji.report.tables.layout import left_table
from tesuji.report.words import interval, percent


def rows_of(looks: Sequence[Evaluation]) -> dict[str, RowsScore]:
    """The looks that took held-out rows in, by label."""
    return {look.label: look.rows for look in looks if look.rows is not None}


def rows_view(scores: Mapping[str, RowsScore]) -> dict[str, Any]:
    """`labels`, `lines` (each with its cells in words; `of` is "" for everyone) and `remarks`;
    empty without rows."""
    if not scores:
        return {}
    return {
        "labels": list(scores),
        "lines": [_line(line) for line in side_by_side(scores)],
        "remarks": sentences(list(scores.values())[-1]),
    }


def rows_table(scores: Mapping[str, RowsScore], *, roles: bool = False) -> Table:
    """Models side by side on held-out rows, shares in percent with 95% intervals; `roles`: by
    role as well."""
    table = left_table("held-out rows (95% interval)")
    table.add_column("measure", overflow="fold", style="bold")
    for label in scores:
        table.add_column(label, justify="right")
    table.add_column("beside", justify="right", style="dim")
    for line in map(_line, side_by_side(scores)):
        name = Text(f"  {line['of']}", "dim") if line["of"] else line["measure"]
        if roles or not line["of"]:
            table.add_row(name, *line["cells"], line["beside"])
    return table


def sentences(score: RowsScore) -> list[str]:
    """What else is to be known about one model's figures: what was left out or cut."""
    facts = (
        (score.lost, f"of {score.rows:,} rows left out: their side lost"),
        (score.cut, f"prompts of rows cut at their beginning{most(score.cut, score.likelihood)}"),
        (score.dropped, "rows left out: the reply alone is too long"),
        (
            score.pairs_cut,
            f"prompts of pairs cut at their beginning{most(score.pairs_cut, score.preferences)}",
        ),
        (
            score.pairs_dropped,
            "pairs left out: a reply is empty, too long, or the same as the other",
        ),
        (score.prompts_cut, "prompts cut before the model replied"),
    )
    return [f"{count:,} {words}" for count, words in facts if count]


def most(cut: int, read: Likelihood | Preferences | None) -> str:
    """A warning where most rows, or pairs, that were read lost their beginning; else ""."""
    rows = getattr(read, "replies", 0) or getattr(read, "pairs", 0)
    return f" of {rows:,}, most of them: raise max_length" if 2 * cut > rows > 0 else ""


def _line(line: Mapping[str, Any]) -> dict[str, Any]:
    beside, kind = line["beside"], line["kind"]
    return {
        "measure": line["measure"],
        "of": "" if line["of"] == EVERYONE else line["of"],
        "cells": [_cell(cell, kind) for cell in line["cells"]],
        "beside": "" if beside is None else f"{_figure(beside, kind)} {line['beside_is']}",
    }


def _cell(cell: Mapping[str, Any], kind: str) -> str:
    """One figure with its interval, or a dash."""
    if not cell["count"]:
        return "–"
    value = _figure(cell["value"], kind)
    if cell["low"] is None:
        return value
    bounds = Interval(cell["low"], cell["high"])
    inside = interval(bounds) if kind == "share" else f"{bounds.low:.3g}–{bounds.high:.3g}"
    return f"{value} ({inside})"


def _figure(value: float, kind: str) -> str:
    """A share in whole percent (never rounded to none or all), a number in three digits."""
    return percent(round(value * 10_000), 10_000, digits=0) if kind == "share" else f"{value:.3g}"
