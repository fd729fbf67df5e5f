"""`statistics.html`: the statistics of a data set on one page that opens offline.

Bars are drawn by matplotlib as SVG; the same numbers give the same bytes. Names from logs are
escaped by the template, and a Content-Security-Policy lets nothing run.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from tesuji.core.charts import ink_svg, plain
from tesuji.core.redact import safe_all
from tesuji.datasets.describe.page import counts, render

SHOWN, WIDEST = 16, 28  # bars of one plot, characters of one name


def statistics_page(stats: Mapping[str, Any]) -> str:
    """The page. `stats` is what `dataset_statistics.json` holds."""
    stats = safe_all(dict(stats))
    rules = [{**rule, "why": counts(rule.get("why", {}))} for rule in stats["rules"]]
    return render(
        "statistics.html.j2",
        title=f"Data set {stats['name']}",
        summary=summary(stats),
        warnings=stats["warnings"],
        rules=rules,
        plots=[{"title": title, "svg": Markup(bars(title, t))} for title, t in _tables(stats) if t],
    )


def summary(stats: Mapping[str, Any]) -> str:
    """The sizes in one sentence."""
    matches, read = stats["matches"], stats["imported"]
    return (
        f"{read['accepted']:,} of {read['read']:,} records, {matches['all']:,} matches of which "
        f"{matches['held_out']:,} are held out; {stats['train_rows']:,} rows and "
        f"{stats['train_pairs']:,} pairs to learn from, {stats['held_out_rows']:,} and "
        f"{stats['held_out_pairs']:,} held out."
    )


def _tables(stats: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, int]]]:
    yield "Length of replies (characters)", stats["reply_lengths"]
    yield "Length of prompts (characters)", stats["prompt_lengths"]
    for name in ("roles", "outcomes", "phases", "types"):
        yield name.capitalize(), stats[name]
    for type_, table in stats["label_balance"].items():
        yield f"Labels: {type_}", table
    yield "Pairs by who preferred / how near", stats["pairs"]["by_near"]
    yield "Pairs left out", stats["pairs"]["dropped"]
    yield "Records not taken, by reason", stats["imported"]["rejected_by_reason"]


def bars(title: str, table: Mapping[str, int]) -> str:
    """A table of counts as horizontal bars, an SVG element."""
    names = [_short(name) for name in list(table)[:SHOWN]]
    counts = list(table.values())[:SHOWN]

    def draw(axes: Any) -> None:
        drawn = axes.barh(range(len(names)), counts, height=0.7)
        axes.bar_label(drawn, labels=[f"{count:,}" for count in counts], padding=3)
        axes.set_yticks(range(len(names)), labels=names)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.margins(x=0.15)
        axes.invert_yaxis()

    return ink_svg(title, draw, size=(4.4, 0.6 + 0.24 * len(names)))


def _short(name: str) -> str:
    text = plain(name or "none")
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
