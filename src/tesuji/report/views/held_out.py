"""Held-out rows for the page: a line a measure, a cell a model."""

from collections.abc import Mapping, Sequence
from typing import Any

from tesuji.evaluation.held_out.compare_models import EVERYONE, side_by_side
from tesuji.evaluation.held_out.results import RowsScore
from tesuji.evaluation.results import Evaluation
from tesuji.report.tables.held_out import beside_words, cell_words, sentences


def rows_of(looks: Sequence[Evaluation]) -> dict[str, RowsScore]:
    """The looks that took held-out rows in, by label."""
    return {look.label: look.rows for look in looks if look.rows is not None}


def rows_view(looks: Sequence[Evaluation]) -> dict[str, Any]:
    """`labels`, `lines` (each with its cells in words) and `remarks`; empty without rows."""
    scores = rows_of(looks)
    if not scores:
        return {}
    last = list(scores.values())[-1]
    return {
        "labels": list(scores),
        "lines": [_line(line) for line in side_by_side(scores)],
        "remarks": sentences(last),
    }


def _line(line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "measure": line["measure"],
        "of": "" if line["of"] == EVERYONE else line["of"],
        "cells": [cell_words(cell, line["kind"]) for cell in line["cells"]],
        "beside": beside_words(line),
    }
