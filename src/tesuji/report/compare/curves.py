"""The learning curves of several runs, laid over each other: a colour a variant."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from tesuji.core.charts import COLOURS, ink_svg, legend_above, plain
from tesuji.core.redact import safe_all
from tesuji.report.compare.compare import Variant
from tesuji.report.views.curves import MOST_CHARTS, TITLES, Chart, Points, collect_series

STYLES = ("-", "--", ":", "-.")
Lines = list[list[Points]]  # of each variant its runs


def draw_over_each_other(variants: Sequence[Variant]) -> list[Chart]:
    """One chart a metric and stage that was logged at least twice, the well-known ones first."""
    charts: dict[tuple[str, str], Lines] = defaultdict(lambda: [[] for _ in variants])
    for place, variant in enumerate(variants):
        for run in variant.runs:
            for metric, lines in collect_series(safe_all(run.summary.metrics)).items():
                for stage, points in lines.items():
                    charts[metric, stage][place].append(sorted(points))
    known = list(TITLES)
    order = sorted(charts, key=lambda one: (known.index(one[0]) if one[0] in known else 99, one))
    return [_chart(one, charts[one], variants) for one in order[:MOST_CHARTS]]


def _chart(of: tuple[str, str], lines: Lines, variants: Sequence[Variant]) -> Chart:
    metric, stage = of
    title = f"{TITLES.get(metric, metric.replace('_', ' '))}, {stage}"

    def draw(axes: Any) -> None:
        for place, some in enumerate(lines):
            look = {"color": COLOURS[place % 4], "linestyle": STYLES[place // 4 % 4]}
            _draw_variant(axes, some, plain(variants[place].name), look)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.set_xlabel("step")
        legend_above(axes)

    return Chart(metric, title, ink_svg(f"{metric} {stage}", draw), "")


def _draw_variant(axes: Any, some: Sequence[Points], name: str, look: Mapping[str, Any]) -> None:
    """Each run thin and their mean thick, at the steps that all of them have."""
    if len(some) == 1:
        axes.plot(*zip(*some[0], strict=True), label=name, linewidth=1.6, **look)
        return
    for points in some:
        axes.plot(*zip(*points, strict=True), linewidth=0.7, alpha=0.45, **look)
    each = [dict(points) for points in some]
    common = [step for step in each[0] if all(step in other for other in each)] if each else []
    if common:
        means = [fmean(one[step] for one in each) for step in common]
        axes.plot(common, means, label=name, linewidth=1.8, **look)
