"""What the report says of stages that learned from pairs."""

from tesuji.report.collect import StageSummary
from tesuji.report.views.pairs import pairs_view

SHARE = {"right": 80, "of": 100, "share": 0.8, "low": 0.71, "high": 0.87}
HALF = {"right": 50, "of": 100, "share": 0.5, "low": 0.4, "high": 0.6}
TRAINING = {
    "accuracy_before": {"pairs": 100, "accuracy": HALF},
    "accuracy_after": {"pairs": 100, "accuracy": SHARE},
}
REWARD = {
    "margin": {"mean": 1.5, "histogram": {"edges": [-1.0, 0.0, 1.0], "counts": [20, 80]}},
    "calibration": {
        "expected_calibration_error": 0.05,
        "bins": [
            {"predicted": 0.75, "observed": SHARE},
            {"predicted": None, "observed": {"right": 0, "of": 0}},
        ],
    },
}


def stage(**parts: object) -> StageSummary:
    return StageSummary("03-reward", finished=True, **parts)  # type: ignore[arg-type]


def test_accuracies_margins_and_calibration_are_shown() -> None:
    [part] = pairs_view([stage(training=TRAINING, reward=REWARD), stage(training={"steps": 3})])
    assert (part["name"], part["pairs"]) == ("reward", 100)
    [line] = part["lines"]
    assert (line["before"], line["after"]) == ("50.0 (40.0–60.0)", "80.0 (71.0–87.0)")
    assert len(part["charts"]) == 2 and all("<svg" in one["svg"] for one in part["charts"])
    assert "1.50 higher" in part["remarks"][0] and "5.0 points" in part["remarks"][1]
    again = pairs_view([stage(training=TRAINING, reward=REWARD)])
    assert again == [part], "the same numbers give the same bytes"


def test_what_cannot_be_read_shows_less() -> None:
    broken = {"margin": {"mean": "?", "histogram": {"edges": [1], "counts": [2, 3]}}}
    broken["calibration"] = {"bins": [{"predicted": 0.5}]}
    [part] = pairs_view([stage(training=TRAINING, reward=broken)])
    assert part["charts"] == [] and part["remarks"] == []
    half = {"accuracy_after": {"pairs": 3, "accuracy": {"share": None}}}
    assert pairs_view([stage(training=half), stage(training={"accuracy_after": 3})]) == []
