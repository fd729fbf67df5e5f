"""Learning curves: which metrics, in which order, one chart each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from tesuji.core.charts import ink_svg, legend_above, plain
from tesuji.core.files import read_beside
from tesuji.report.words import number

TITLES = read_beside(__file__, "titles.yaml")  # the well-known metrics, in order
BESIDE = {"random/success": ("success", "random play in its place")}
LEFT_OUT = {"time", "stage", "step", "epoch", "num_tokens"}
HELD_OUT = "eval_"  # transformers' prefix of what is measured on held-out rows
MOST_CHARTS = 12

Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Chart:
    """One metric: its key in the metric log, a title, the SVG element, and in words from where to
    where it went. One that never changed has no SVG: the words say what it was."""

    metric: str
    title: str
    svg: str
    words: str


def draw_curves(metrics: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """One chart a metric that was logged at least twice, the well-known ones first, those that
    never changed last."""
    series = collect_series(metrics)
    titles = list(in_order(series).items())[:MOST_CHARTS]
    charts = [_chart(name, title, series[name]) for name, title in titles]
    return sorted(charts, key=lambda chart: not chart.svg)


def _chart(name: str, title: str, lines: Mapping[str, Points]) -> Chart:
    values = {value for points in lines.values() for _, value in points}
    if len(values) == 1:
        return Chart(name, title, "", f"{number(values.pop())} throughout")
    words = "; ".join(f"{label}: {_way(points)}" for label, points in lines.items())
    alone = len(lines) == 1 and words.partition(": ")[2]
    return Chart(name, title, _draw(name, lines), alone or words)


def _way(points: Points) -> str:
    """From where to where a line goes: `4.8 at step 20, 0.37 at step 440`."""
    ends = dict(sorted({points[0], points[-1]}))
    return " → ".join(f"{number(value)} at step {number(step)}" for step, value in ends.items())


def collect_series(metrics: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Points]]:
    """Metric → line label → (step, value) points; `eval_loss` is a line of the chart `loss`."""
    series: dict[str, dict[str, Points]] = {}
    for row in metrics:
        step = row.get("step")
        if not _is_number(step):
            continue
        for key, value in row.items():
            if key in LEFT_OUT or not _is_number(value):
                continue
            name, label = line_of(str(row.get("stage", "")), key)
            series.setdefault(name, {}).setdefault(label, []).append((float(step), float(value)))
    return {
        name: lines for name, lines in series.items() if any(len(p) > 1 for p in lines.values())
    }


def line_of(stage: str, metric: str) -> tuple[str, str]:
    """The chart that a stage's metric belongs to, and the label of its line there."""
    name, label = BESIDE.get(metric, (metric.removeprefix(HELD_OUT), stage))
    return name, f"{stage}, held out" if metric.startswith(HELD_OUT) else label


def in_order(names: Iterable[str]) -> dict[str, str]:
    """Chart → its title, the well-known ones first."""
    known = set(names)
    order = [name for name in TITLES if name in known]
    order += sorted(known - set(order))
    return {name: TITLES.get(name, name.replace("_", " ")) for name in order}


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _draw(name: str, lines: Mapping[str, Points]) -> str:
    def draw(axes: Any) -> None:
        for label, points in lines.items():
            style = "--" if label.endswith(", held out") else "-"
            dot = "o" if len(points) == 1 else ""
            steps, values = zip(*sorted(points), strict=True)
            axes.plot(steps, values, style, marker=dot, label=plain(label), linewidth=1.6)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.set_xlabel("step")
        if len(lines) > 1:
            legend_above(axes)

    return ink_svg(name, draw)
