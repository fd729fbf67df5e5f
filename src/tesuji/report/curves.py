"""Learning curves as inline SVG: text stays text, ink takes the page's colour.

Drawn by matplotlib without a display. The same numbers give the same bytes.
"""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

TITLES = {
    "eval/exploitability": "Exploitability",
    "certificate/losing_lines": "Losing lines of the certificate",
    "eval/score": "Score in evaluation",
    "success": "Success",
    "reward": "Reward",
    "curriculum/stage": "Curriculum stage",
    "loss": "Loss",
    "mean_token_accuracy": "Mean token accuracy",
    "learning_rate": "Learning rate",
    "entropy": "Entropy",
    "approx_kl": "KL of an update",
    "kl": "KL from the reference",
    "explained_variance": "Explained variance of the critic",
    "illegal_moves": "Illegal replies",
    "zero_variance_groups": "Groups with nothing to learn from",
    "grad_norm": "Gradient norm",
}
BESIDE = {"random/success": ("success", "random play in its place")}
LEFT_OUT = {"time", "stage", "step", "epoch", "num_tokens"}
HELD_OUT = "eval_"  # transformers' prefix of what is measured on held-out rows
MOST_CHARTS = 12
INK = "#010203"  # replaced by currentColor: matplotlib itself knows no such colour
COLOURS = ("#3b78d8", "#d9731a", "#3a9a6a", "#a35bc0")

Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Chart:
    """One drawn metric: its key in the metric log, a title and the SVG element."""

    metric: str
    title: str
    svg: str


def draw_curves(metrics: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """One chart a metric that was logged at least twice, the well-known ones first."""
    series = collect_series(metrics)
    order = [name for name in TITLES if name in series]
    order += sorted(set(series) - set(order))
    return [
        Chart(name, TITLES.get(name, name.replace("_", " ")), _draw(name, series[name]))
        for name in order[:MOST_CHARTS]
    ]


def collect_series(metrics: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Points]]:
    """Metric → line label → (step, value) points; `eval_loss` is a line of the chart `loss`."""
    found: dict[str, dict[str, Points]] = {}
    for row in metrics:
        step = row.get("step")
        if not _is_number(step):
            continue
        for key, value in row.items():
            if key in LEFT_OUT or not _is_number(value):
                continue
            stage = str(row.get("stage", ""))
            name, label = BESIDE.get(key, (key.removeprefix(HELD_OUT), stage))
            label = f"{stage}, held out" if key.startswith(HELD_OUT) else label
            found.setdefault(name, {}).setdefault(label, []).append((float(step), float(value)))
    return {name: lines for name, lines in found.items() if any(len(p) > 1 for p in lines.values())}


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _draw(name: str, lines: Mapping[str, Points]) -> str:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_style(name)):
        figure = Figure(figsize=(4.6, 2.7), layout="constrained")
        axes = figure.add_subplot()
        for label, points in lines.items():
            style = "--" if label.endswith(", held out") else "-"
            steps, values = zip(*sorted(points), strict=True)
            axes.plot(steps, values, style, label=_plain(label), linewidth=1.6)
        axes.set_xlabel("step")
        axes.set_ylabel(_plain(TITLES.get(name, name.replace("_", " "))))
        axes.grid(alpha=0.25, linewidth=0.6)
        if len(lines) > 1:
            axes.legend(frameon=False)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata=NO_METADATA)
    return _inline(text.getvalue())


NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def _plain(text: str) -> str:
    """Dollar signs would start a formula."""
    return text.replace("$", r"\$")


def _style(name: str) -> dict[str, Any]:
    from cycler import cycler

    ink = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": f"tesuji {name}",
        "font.family": "sans-serif",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": cycler(color=COLOURS),
        "grid.color": INK,
        **dict.fromkeys(ink, INK),
    }


def _inline(svg: str) -> str:
    """The bare element: no prolog, no namespaces (HTML needs none), the page's ink, any width."""
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r"<style.*?</style>", "", svg)
    svg = re.sub(r' id="[^"_]+_[^"]*"', "", svg)  # nothing points to them
    head, _, body = svg.partition(">")
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    return f'{head} role="presentation">{body}'.strip()
