"""Games of questions for page and terminal: a line a category, a cell a model."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from tesuji.evaluation.results import Evaluation, TaskScore
from tesuji.report.tables.layout import left_table
from tesuji.report.words import interval, percent

SIDES = {"trained": "training questions", "held_out": "held-out questions", "all": "all questions"}


def tasks_view(looks: Sequence[Evaluation]) -> dict[str, Any]:
    """`labels` and `lines` (each with `of`, `category` and a cell a look); empty where no
    questions were asked."""
    judged = [look for look in looks if look.tasks is not None]
    if not judged:
        return {}
    cells = [_cells(look) for look in judged]
    names = dict.fromkeys(name for column in cells for name in column)
    return {
        "labels": [look.label for look in judged],
        "lines": [
            {
                "of": SIDES.get(split, split),
                "category": category,
                "cells": [column.get((split, category), "–") for column in cells],
            }
            for split, category in names
        ],
    }


def tasks_table(before: Evaluation | None, after: Evaluation) -> Table:
    """The same for the terminal."""
    seen = tasks_view([look for look in (before, after) if look is not None])
    play = "greedy" if after.temperature == 0 else f"temperature {after.temperature:g}"
    table = left_table(f"{after.game}, {play}: % answered right (95% interval) of how many")
    table.add_column("questions", overflow="fold")
    for label in seen["labels"]:
        table.add_column(label, justify="right", overflow="fold")
    for line in seen["lines"]:
        name = f"  {line['category']}" if line["category"] else line["of"]
        table.add_row(name, *line["cells"])
    return table


def _cells(look: Evaluation) -> Mapping[tuple[str, str], str]:
    """(side, category) → what is said of it, each side's categories before its summary lines."""
    assert look.tasks is not None
    rows, composites = look.tasks.rows, look.tasks.composites
    cells: dict[tuple[str, str], str] = {}
    for split in dict.fromkeys(row.split for row in rows):
        cells |= {(split, row.category): _score(row) for row in rows if row.split == split}
        for line in (line for line in composites if line.split == split):
            cells[split, f"= {line.name}"] = f"{100 * line.share:.1f} ({interval(line.interval)})"
    return cells


def _score(row: TaskScore) -> str:
    words = f"{percent(row.right, row.tasks)} ({interval(row.right_interval)}) of {row.tasks:,}"
    if abs(row.mean_return - row.right / max(row.tasks, 1)) > 1e-9:  # partly right answers pay
        words += f", mean {row.mean_return:.3f}"
    if row.unanswered:
        words += f", {row.unanswered:,} no reply"
    return words + (f", {row.errors:,} errors" if row.errors else "")
