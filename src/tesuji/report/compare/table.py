"""A comparison for the terminal, in 80 columns."""

import math
from collections.abc import Iterator, Sequence

from rich.console import Group as Lines
from rich.table import Table
from rich.text import Text

from tesuji.core.statistics import Interval
from tesuji.report.compare.compare import Cell, Comparison, Row, finite
from tesuji.report.compare.figures import SHARES
from tesuji.report.compare.noise import SURE, WITHIN, Difference
from tesuji.report.tables.layout import left_table
from tesuji.report.words import SPLITS, number
from tesuji.report.words import interval as share_interval

AT_ONCE = 3  # variants in one table
SURE_MARK, OPEN_MARK = "*", "?"


def comparison_table(comparison: Comparison) -> Lines:
    """The variants, their figures, and what is more than noise."""
    count, runs = len(comparison.variants), sum(len(one.runs) for one in comparison.variants)
    title = Text(f"{comparison.game}: {runs} runs in {count} variant{'s' if count > 1 else ''}")
    parts: list[Table | Text] = [title, _variants(comparison)]
    if count == 2:
        parts.append(_of_two(comparison))
    else:
        parts += [
            _of_many(comparison, range(start, min(start + AT_ONCE, count)))
            for start in range(0, count, AT_ONCE)
        ]
    parts += [Text(line) for line in conclusions(comparison)]
    return Lines(*parts)


def _variants(comparison: Comparison) -> Table:
    grid = Table(box=None, show_header=False, pad_edge=False)
    for variant in comparison.variants:
        grid.add_row(Text(variant.name, "bold"), Text(variant.words), Text(variant.seeds, "dim"))
    return grid


def _of_two(comparison: Comparison) -> Table:
    table = _empty("A", "B", "B - A (95%)", "p")
    for title, row in titled(comparison.rows):
        if row is None:
            table.add_row(Text(title, "bold"))
            continue
        found = row.differences[1]
        words = difference_words(found, row.name) if found else ""
        cells = [Text(cell_words(cell, row.name)) for cell in row.cells]
        table.add_row(title, *cells, words, Text(p_words(found), mark_style(found, row)))
    return table


def _of_many(comparison: Comparison, places: Sequence[int]) -> Table:
    table = _empty(*(comparison.variants[place].name for place in places))
    for title, row in titled(comparison.rows):
        if row is None:
            table.add_row(Text(title, "bold"))
            continue
        table.add_row(title, *(_marked(row, place) for place in places))
    return table


def _empty(*columns: str) -> Table:
    table = left_table("")
    table.add_column("", overflow="fold")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _marked(row: Row, place: int) -> Text:
    found = row.differences[place]
    mark = f" {SURE_MARK}" if found and found.sure else ""
    return Text(cell_words(row.cells[place], row.name) + mark, mark_style(found, row))


def mark_style(found: Difference | None, row: Row) -> str:
    """Green of what is surely better, red of what is surely worse."""
    if found is None or not found.sure or not found.value:
        return ""
    return "green" if (found.value > 0) == row.better else "red"


def titled(rows: Sequence[Row]) -> Iterator[tuple[str, Row | None]]:
    """Each row with its words; in front of those of one opponent or split a line with its name."""
    before = ""
    for row in rows:
        above, _, end = row.name.rpartition("/")
        if above and above != before:
            yield SPLITS.get(above, above.replace("_", " ")), None
        before = above
        words = end.replace("_rate", "").replace("_", " ")
        yield f"{'  ' if above else ''}{words}{' %' if is_share(row.name) else ''}", row


def is_share(name: str) -> bool:
    """Whether the figure is a share, shown in percent."""
    return name.rpartition("/")[2] in SHARES


def cell_words(cell: Cell | None, name: str) -> str:
    """`94.3 ±3.1`, or `94 (87-98)` where the interval is no even one; a dash of nothing."""
    if cell is None:
        return "–"
    share = is_share(name)
    scale = 100.0 if share else 1.0
    mean = f"{cell.mean * scale:.1f}".removesuffix(".0") if share else _figure(cell.mean)
    if not finite(cell.interval):
        return mean
    low, high = cell.interval.low * scale, cell.interval.high * scale
    if len(cell.values) > 1:
        return f"{mean} ±{_two_digits((high - low) / 2)}" if high > low else mean
    within = share_interval(cell.interval) if share else f"{_figure(low)}–{_figure(high)}"
    return f"{mean} ({within})"


def difference_words(found: Difference, name: str) -> str:
    """`+1.7 (-2.5 to 5.9)`."""
    scale = 100.0 if is_share(name) else 1.0
    value = ("+" if found.value >= 0 else "") + _two_digits(found.value * scale)
    return f"{value} ({bounds(found.interval, scale)})" if finite(found.interval) else value


def bounds(interval: Interval, scale: float) -> str:
    """`-2.5 to 5.9`."""
    return f"{_two_digits(interval.low * scale)} to {_two_digits(interval.high * scale)}"


def p_words(found: Difference | None) -> str:
    """The p after correction, with a star where it is below 0.05."""
    if found is None:
        return ""
    if found.adjusted is None:
        return OPEN_MARK
    p = "<0.001" if found.adjusted < 0.001 else f"{found.adjusted:.2g}"
    return f"{p} {SURE_MARK}" if found.sure else p


def _two_digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2g}"


def _figure(value: float) -> str:
    if not math.isfinite(value):
        return "–"
    return number(value) if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def conclusions(comparison: Comparison) -> list[str]:
    """What is more than noise and by which test, then what to keep in mind."""
    tests = [(row, one) for row in comparison.rows for one in row.differences if one is not None]
    tested = [one for _, one in tests if one.p is not None]
    sure = [one for one in tested if one.sure]
    lines: list[str] = []
    if tested:
        names = ", ".join(dict.fromkeys(one.test for one in tested))
        verdict = f"{len(sure)} of {len(tested)} differences from A are more than noise"
        lines.append(f"{verdict} ({SURE_MARK}: p below {SURE}). By: {names}.")
    least = [one.least for one in tested if one.least is not None and one.least >= SURE]
    if sure and least:
        words = f"a permutation test, which takes nothing for normal, can give {min(least):.2g} at"
        lines.append(f"With so few seeds {words} the least: it cannot confirm them.")
    if any(one.test == WITHIN for one in sure):
        lines.append("These two models differ; another seed of the same recipe may differ as much.")
    return lines + [f"{note[:1].upper()}{note[1:]}." for note in comparison.notes]
