"""What is drawn of a metric log: charts of lines, as plain values."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tesuji.core.redact import safe_all
from tesuji.report.live.reader import MetricReader
from tesuji.report.views.curves import LEFT_OUT, in_order, line_of

MOST_CHARTS = 60


def charts(reader: MetricReader) -> list[dict[str, Any]]:
    """The charts in order, each `{metric, title, lines: [{label, x, y}]}`: steps and values; of
    metrics that some stage logged at least twice."""
    lines: dict[str, list[dict[str, Any]]] = {}
    for (stage, metric), (steps, values) in reader.points().items():
        name, label = line_of(stage, metric)
        if steps:
            lines.setdefault(name, []).append({"label": label, "x": steps, "y": values})
    lines = {n: some for n, some in lines.items() if any(len(one["x"]) > 1 for one in some)}
    found = [
        {"metric": name, "title": title, "lines": lines[name]}
        for name, title in list(in_order(lines).items())[:MOST_CHARTS]
    ]
    safe: list[dict[str, Any]] = [{**one, **_safe(one)} for one in found]
    return safe


def together(runs: Sequence[tuple[str, list[dict[str, Any]]]]) -> list[dict[str, Any]]:
    """The charts of several runs as one list; each line's label begins with its run's name."""
    lines: dict[str, list[dict[str, Any]]] = {}
    for run, found in runs:
        for chart in found:
            named = [{**line, "label": f"{run}: {line['label']}"} for line in chart["lines"]]
            lines.setdefault(chart["metric"], []).extend(named)
    return [
        {"metric": name, "title": title, "lines": lines[name]}
        for name, title in in_order(lines).items()
    ]


def points(rows: Iterable[Mapping[str, Any]]) -> list[list[Any]]:
    """Of lines of the log, what the same charts gain: `[metric, label, step, value]` each."""
    return [
        [*safe_all(line_of(row["stage"], name)), row["step"], value]
        for row in rows
        for name, value in row.items()
        if name not in LEFT_OUT and type(value) in (int, float) and abs(value) < 1e300
    ]


def _safe(chart: Mapping[str, Any]) -> dict[str, Any]:
    labels = safe_all([line["label"] for line in chart["lines"]])
    lines = [{**line, "label": label} for line, label in zip(chart["lines"], labels, strict=True)]
    return {**safe_all({key: chart[key] for key in ("metric", "title")}), "lines": lines}
