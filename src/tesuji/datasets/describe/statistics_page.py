"""`statistics.html`: the statistics of a data set on one page that opens offline.

Bars are drawn by matplotlib as SVG; the same numbers give the same bytes. Names from logs are
escaped by the template, and a Content-Security-Policy lets nothing run.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from tesuji.core.charts import ink_svg, plain
from tesuji.core.redact import redact_all

SHOWN, WIDEST = 16, 28  # bars of one plot, characters of one name

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: .5rem 0 1.5rem }
td, th { padding: .15rem .9rem .15rem 0; text-align: left; border-bottom: 1px solid #8884 }
td.n { text-align: right; font-variant-numeric: tabular-nums }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(21rem, 1fr)); gap: 1rem }
figure { margin: 0 } figcaption { font-weight: 600 } svg { width: 100%; height: auto }
.warning { border-left: 4px solid #d9731a; padding-left: .7rem }
</style></head><body>
<h1>{{ title }}</h1>
<p>{{ summary }}</p>
{% for warning in warnings %}<p class="warning">{{ warning }}</p>
{% endfor %}
<h2>What each rule dropped</h2>
<table><tr><th>rule</th><th>dropped</th><th>left</th><th>why</th></tr>
{% for rule in rules %}<tr><td>{{ rule.rule }}</td><td class="n">{{ rule.dropped }}</td>
<td class="n">{{ rule.left }}</td><td>{{ rule.why }}</td></tr>
{% endfor %}</table>
<h2>The rows of training</h2>
<div class="plots">{% for plot in plots %}
<figure><figcaption>{{ plot.title }}</figcaption>{{ plot.svg }}</figure>{% endfor %}
</div>
</body></html>
"""


def statistics_page(stats: Mapping[str, Any]) -> str:
    """The page. `found` is what `dataset_statistics.json` holds."""
    stats = redact_all(dict(stats))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    rules = [{**rule, "why": _counts(rule.get("why", {}))} for rule in stats["rules"]]
    return environment.from_string(PAGE).render(
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


def _counts(table: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in table.items() if name)


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
