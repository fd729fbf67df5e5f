"""What stages learned from pairs: accuracy before and after; a reward model's margins, calibration.

A file that lacks something, or holds something else than expected, shows less and breaks nothing.
"""

from collections.abc import Sequence
from typing import Any

from tesuji.core.charts import ink_svg
from tesuji.report.collect import StageSummary, mapping

ACCURACIES = {
    "accuracy": "prefers the better reply",
    "policy_preference": "finds the better reply likelier",
    "policy_preference_per_token": "... per token",
    "implicit_reward": "moved towards the better reply",
    "shorter_wins": "the shorter reply is the better one",
    "longer_wins": "the longer reply is the better one",
}


def pairs_view(stages: Sequence[StageSummary]) -> list[dict[str, Any]]:
    """A part a stage: `lines` of figures, `charts` drawn, and what to know about them."""
    return [part for stage in stages if (part := _part(stage))["lines"]]


def _part(stage: StageSummary) -> dict[str, Any]:
    before = mapping(stage.training.get("accuracy_before"))
    after = mapping(stage.training.get("accuracy_after"))
    lines = [
        {"measure": words, "before": _share(before.get(key)), "after": _share(after.get(key))}
        for key, words in ACCURACIES.items()
        if _share(after.get(key))
    ]
    return {
        "name": stage.name.partition("-")[2] or stage.name,
        "pairs": after.get("pairs", 0),
        "lines": lines,
        "charts": _charts(stage),
        "remarks": _remarks(stage),
    }


def _share(entry: Any) -> str:
    """`81.6 (74.9–86.9)`; "" where there is none."""
    try:
        return f"{100 * entry['share']:.1f} ({100 * entry['low']:.1f}–{100 * entry['high']:.1f})"
    except (TypeError, LookupError, ValueError):
        return ""


def _remarks(stage: StageSummary) -> list[str]:
    was, now = (stage.training.get(f"chosen_perplexity_{side}") for side in ("before", "after"))
    remarks = [str(one) for one in stage.training.get("warnings") or ()]
    if isinstance(was, int | float) and isinstance(now, int | float):
        remarks.append(f"Perplexity of the better replies: {was:.3g} before, {now:.3g} after.")
    margin = mapping(stage.reward.get("margin"))
    error = mapping(stage.reward.get("calibration")).get("expected_calibration_error")
    if isinstance(margin.get("mean"), int | float):
        remarks.append(f"The better reply is scored {margin['mean']:.2f} higher on average.")
    if isinstance(error, int | float):
        remarks.append(
            f"Where it is p sure of a preference it is right in p of the cases, but for "
            f"{100 * error:.1f} points on average (expected calibration error)."
        )
    return remarks


def _charts(stage: StageSummary) -> list[dict[str, str]]:
    drawn = {
        "Margins: score of the better reply less that of the worse one": _margins(stage),
        "Calibration: how sure, and how often right": _calibration(stage),
    }
    return [{"title": title, "svg": svg, "words": ""} for title, svg in drawn.items() if svg]


def _margins(stage: StageSummary) -> str:
    table = mapping(mapping(stage.reward.get("margin")).get("histogram"))
    edges, counts = table.get("edges") or [], table.get("counts") or []
    if not counts or len(edges) != len(counts) + 1:
        return ""

    def draw(axes: Any) -> None:
        axes.stairs(counts, edges, fill=True, alpha=0.8)
        axes.axvline(0, linewidth=1, linestyle="--", color="#888888")
        axes.set_xlabel("margin")
        axes.set_ylabel("pairs")

    return ink_svg(f"margins {stage.name}", draw)


def _calibration(stage: StageSummary) -> str:
    bins = mapping(stage.reward.get("calibration")).get("bins") or []
    points = [
        (one["predicted"], *(one["observed"][key] for key in ("share", "low", "high")))
        for one in bins
        if one.get("predicted") is not None and mapping(one.get("observed")).get("of")
    ]
    if not points:
        return ""

    def draw(axes: Any) -> None:
        sure, right, low, high = zip(*points, strict=True)
        below = [max(0.0, r - lowest) for r, lowest in zip(right, low, strict=True)]
        above = [max(0.0, highest - r) for r, highest in zip(right, high, strict=True)]
        axes.errorbar(sure, right, yerr=(below, above), fmt="o", markersize=4, linewidth=1)
        axes.plot((0.5, 1), (0.5, 1), linewidth=1, linestyle="--", color="#888888")
        axes.set_xlabel("how sure")
        axes.set_ylabel("right")

    return ink_svg(f"calibration {stage.name}", draw)
