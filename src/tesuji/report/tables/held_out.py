"""Held-out rows in the terminal: a line a measure, a column a model."""

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tesuji.core.statistics import Interval
from tesuji.evaluation.held_out.compare_models import EVERYONE, side_by_side
from tesuji.evaluation.held_out.results import RowsScore
from tesuji.report.words import interval, percent


def rows_table(scores: Mapping[str, RowsScore], *, roles: bool = False) -> Table:
    """Models side by side on held-out rows, shares in percent with 95% intervals; `roles`: by
    role as well."""
    table = Table(
        title="held-out rows (95% interval)", title_justify="left", box=SIMPLE_HEAD,
        pad_edge=False, collapse_padding=True,
    )  # fmt: skip
    table.add_column("measure", overflow="fold", style="bold")
    for label in scores:
        table.add_column(label, justify="right")
    table.add_column("beside", justify="right", style="dim")
    for line in side_by_side(scores):
        if roles or line["of"] == EVERYONE:
            table.add_row(*_cells(line))
    return table


def sentences(score: RowsScore) -> list[str]:
    """What else is to be known about one model's figures: what was left out or cut."""
    facts = (
        (score.lost, f"of {score.rows:,} rows left out: their side lost"),
        (score.cut, "prompts of rows cut at their beginning"),
        (score.dropped, "rows left out: the reply alone is too long"),
        (score.pairs_cut, "prompts of pairs cut at their beginning"),
        (
            score.pairs_dropped,
            "pairs left out: a reply is empty, too long, or the same as the other",
        ),
        (score.prompts_cut, "prompts cut before the model replied"),
    )
    return [f"{count:,} {words}" for count, words in facts if count]


def _cells(line: Mapping[str, Any]) -> list[Text]:
    everyone = line["of"] == EVERYONE
    name = line["measure"] if everyone else f"  {line['of']}"
    cells = [Text(cell_words(cell, line["kind"])) for cell in line["cells"]]
    return [
        Text(name, style="bold" if everyone else "dim"),
        *cells,
        Text(beside_words(line), style="dim"),
    ]


def cell_words(cell: Mapping[str, Any], kind: str) -> str:
    """One figure with its interval, or a dash."""
    if not cell["count"]:
        return "–"
    value = figure(cell["value"], kind)
    if cell["low"] is None:
        return value
    bounds = Interval(cell["low"], cell["high"])
    inside = interval(bounds) if kind == "share" else f"{bounds.low:.3g}–{bounds.high:.3g}"
    return f"{value} ({inside})"


def beside_words(line: Mapping[str, Any]) -> str:
    """The figure to compare a line with, and whose it is; "" where there is none."""
    known = line["beside"] is not None
    return f"{figure(line['beside'], line['kind'])} {line['beside_is']}" if known else ""


def figure(value: float, kind: str) -> str:
    """A share in whole percent (never rounded to none or all), a number in three digits."""
    return percent(round(value * 10_000), 10_000, digits=0) if kind == "share" else f"{value:.3g}"
