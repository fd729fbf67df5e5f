"""How good a reward model is on held-out pairs: accuracy, margins, calibration, and its taste for
length.

Calibration: `sigmoid(|margin|)` is how sure the model is of the reply it prefers (Bradley-Terry);
in each bin of it stands how often it was right. The expected calibration error is the mean of the
difference, weighted by the bins' pairs (Guo et al. 2017).
"""

import math
from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean, pstdev
from typing import Any

from tesuji.learners.pairs.accuracy import Preference, accuracy, judged, margin
from tesuji.learners.pairs.tokens import PairRow

BINS = 10
Scores = Sequence[tuple[float, float]]


def reward_preference(rows: Sequence[PairRow], scores: Scores) -> Preference:
    """How often the chosen reply scores higher, and the rule "the longer one wins" beside it."""
    return judged(
        rows,
        {
            "accuracy": [chosen > rejected for chosen, rejected in scores],
            "longer_wins": [len(row.chosen_ids) > len(row.rejected_ids) for row in rows],
        },
    )


def reward_evaluation(
    rows: Sequence[PairRow], before: Preference, scores: Scores
) -> dict[str, Any]:
    """Everything `reward_evaluation.json` holds. `scores` are (chosen, rejected), one a row."""
    margins = [chosen - rejected for chosen, rejected in scores]
    mean = margin(rows, margins)
    return {
        "before": before.as_json(),
        "after": reward_preference(rows, scores).as_json(),
        "margin": {**(asdict(mean) if mean else {}), "histogram": histogram(margins)},
        "calibration": calibration(margins),
        "length": length_bias(rows, scores),
        "scores": spread([score for pair in scores for score in pair]),
    }


def spread(scores: Sequence[float]) -> dict[str, float]:
    """Mean and standard deviation of scores; the deviation of equal scores is 1."""
    return {"mean": fmean(scores), "deviation": pstdev(scores) or 1.0}


def histogram(values: Sequence[float]) -> dict[str, list[float]]:
    """`edges` (one more than `counts`) and `counts` of 20 bins of equal width."""
    import numpy as np

    counts, edges = np.histogram(values, bins=20)
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def calibration(margins: Sequence[float]) -> dict[str, Any]:
    """Bins of how sure the model is, each with how often it was right; empty ones are left out."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for value in margins:
        sure = 1 / (1 + math.exp(-abs(value)))
        bins[min(BINS - 1, int((sure - 0.5) * 2 * BINS))].append((sure, value > 0))
    found, off = [], 0.0
    for number, some in enumerate(bins):
        if some:
            predicted = fmean(sure for sure, _ in some)
            observed = accuracy([right for _, right in some])
            edges = {"from": 0.5 + number / (2 * BINS), "to": 0.5 + (number + 1) / (2 * BINS)}
            found.append({**edges, "predicted": predicted, "observed": asdict(observed)})
            off += abs(predicted * len(some) - observed.right)
    return {"bins": found, "expected_calibration_error": off / len(margins)}


def length_bias(rows: Sequence[PairRow], scores: Scores) -> dict[str, Any]:
    """Accuracy where the chosen reply is the longer, the shorter, and as long as the other; and the
    correlation of a pair's margin with its difference in tokens (None where one never varies)."""
    more = [len(row.chosen_ids) - len(row.rejected_ids) for row in rows]
    margins = [chosen - rejected for chosen, rejected in scores]
    sides = {"chosen_longer": 1, "chosen_shorter": -1, "equally_long": 0}
    found: dict[str, Any] = {
        name: asdict(accuracy([m > 0 for d, m in zip(more, margins, strict=True) if _sign(d) == s]))
        for name, s in sides.items()
    }
    return {**found, "correlation": _correlation([float(d) for d in more], margins)}


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def _correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    from statistics import correlation

    if len(a) < 2 or len(set(a)) < 2 or len(set(b)) < 2:
        return None
    return correlation(a, b)
