"""A comparison as one HTML page that opens offline, and as JSON."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from tesuji.core.files import write_text
from tesuji.core.json_dataclass import json_safe
from tesuji.core.redact import safe_all
from tesuji.report.compare.compare import Comparison, Row, finite
from tesuji.report.compare.curves import draw_over_each_other
from tesuji.report.compare.noise import Difference
from tesuji.report.compare.table import (
    bounds,
    cell_words,
    conclusions,
    difference_words,
    is_share,
    mark_style,
    p_words,
    titled,
)
from tesuji.report.page import static_page
from tesuji.report.words import duration, number


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write the page. Raises DataError when it cannot be written."""
    values: dict[str, Any] = json_safe(safe_all(comparison_values(comparison)))
    values["curves"] = [asdict(chart) for chart in draw_over_each_other(comparison.variants)]
    write_text(path, static_page("compare.html.j2", values))


def comparison_values(comparison: Comparison) -> dict[str, Any]:
    """What a page shows of it, but for the curves; texts as they are in the runs."""
    variants = comparison.variants
    return {
        "game": comparison.game,
        "variants": [
            {"name": one.name, "words": one.words, "seeds": one.seeds, "keys": dict(one.differs)}
            for one in variants
        ],
        "lines": [_line(title, row) for title, row in titled(comparison.rows)],
        "differences": [
            _told(row, variants[place].name, one)
            for row in comparison.rows
            for place, one in enumerate(row.differences)
            if one is not None
        ],
        "conclusions": conclusions(comparison),
        "runs": [
            {
                "variant": variant.name,
                "name": run.summary.name,
                "path": str(run.summary.path),
                "seed": run.seed,
                "steps": number(run.figures["steps"].value) if "steps" in run.figures else "–",
                "took": duration(60 * run.figures["minutes"].value)
                if "minutes" in run.figures
                else "–",
            }
            for variant in variants
            for run in variant.runs
        ],
    }


def _line(title: str, row: Row | None) -> dict[str, Any]:
    if row is None:
        return {"title": title, "cells": None}
    pairs = zip(row.cells, row.differences, strict=True)
    return {
        "title": title.strip(),
        "cells": [
            {"words": cell_words(cell, row.name), "colour": mark_style(found, row)}
            for cell, found in pairs
        ],
    }


def _told(row: Row, variant: str, found: Difference) -> dict[str, str]:
    scale = 100.0 if is_share(row.name) else 1.0
    sure = {True: "more than noise", False: "not more than noise", None: "cannot be told"}
    order = "" if found.by_order is None else f"{found.by_order:.2g}"
    return {
        "figure": row.name + (" (%)" if is_share(row.name) else ""),
        "variant": variant,
        "difference": difference_words(found, row.name).partition(" (")[0],
        "interval": bounds(found.interval, scale) if finite(found.interval) else "–",
        "p": "–" if found.p is None else f"{found.p:.2g}",
        "adjusted": p_words(found),
        "by_order": order,
        "test": found.test,
        "verdict": sure[found.sure],
    }


def plain_comparison(comparison: Comparison) -> dict[str, Any]:
    """For other programs: the variants, every figure and every difference."""
    variants = comparison.variants
    plain = {
        "game": comparison.game,
        "variants": [
            {
                "name": variant.name,
                "differs": dict(variant.differs),
                "runs": [
                    {
                        "name": run.summary.name,
                        "path": str(run.summary.path),
                        "seed": run.seed,
                        "figures": {name: one.value for name, one in run.figures.items()},
                    }
                    for run in variant.runs
                ],
            }
            for variant in variants
        ],
        "figures": [
            {
                "name": row.name,
                "higher_is_better": row.better,
                "variants": {
                    variant.name: asdict(cell)
                    for variant, cell in zip(variants, row.cells, strict=True)
                    if cell
                },
                "differences_from_A": {
                    variant.name: {**asdict(found), "more_than_noise": found.sure}
                    for variant, found in zip(variants, row.differences, strict=True)
                    if found
                },
            }
            for row in comparison.rows
        ],
        "conclusions": conclusions(comparison),
    }
    safe: dict[str, Any] = json_safe(safe_all(plain))
    return safe
