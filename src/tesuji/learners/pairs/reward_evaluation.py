"""How good a reward model is on held-out pairs: accuracy, margins, calibration, and its taste for
length.

Calibration: `sigmoid(|margin|)` is how sure the model is of the reply it prefers (Bradley-Terry);
in each bin of it stands how often it was right. The expected calibration error is the mean of the
difference, weighted by the bins' pairs (Guo et al. 2017).
"""

import math
from collections.abc import Sequence
from dataclasses import asdict
from statistics import StatisticsError, correlation, fmean, pstdev
from typing import Any

from tesuji.core.statistics import share
from tesuji.learners.model.logprobs import Scored
from tesuji.learners.pairs.accuracy import (
    Preference,
    chosen_first,
    longer_wins,
    margin_of,
    margins,
    preference_of,
    share_json,
)

BINS = 10


def reward_preference(scored: Sequence[Scored]) -> Preference:
    """How often the chosen reply scores higher, and the rule "the longer one wins" beside it."""
    return preference_of(
        scored, {"accuracy": chosen_first(scored), "longer_wins": longer_wins(scored)}
    )


def reward_evaluation(scored: Sequence[Scored], before: Preference) -> dict[str, Any]:
    """Everything `reward_evaluation.json` holds."""
    gains = margins(scored)
    mean = margin_of(scored, gains)
    return {
        "before": before.as_json(),
        "after": reward_preference(scored).as_json(),
        "margin": {**(asdict(mean) if mean else {}), "histogram": histogram(gains)},
        "calibration": calibration(gains),
        "length": length_bias(scored),
        "scores": spread(scored),
    }


def spread(scored: Sequence[Scored]) -> dict[str, float]:
    """Mean and standard deviation of all replies' scores; the deviation of equal ones is 1."""
    scores = [score for pair in scored for score in pair.scores]
    return {"mean": fmean(scores), "deviation": pstdev(scores) or 1.0}


def histogram(values: Sequence[float]) -> dict[str, list[float]]:
    """`edges` (one more than `counts`) and `counts` of 20 bins of equal width."""
    import numpy as np

    counts, edges = np.histogram(values, bins=20)
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def calibration(gains: Sequence[float]) -> dict[str, Any]:
    """Bins of how sure the model is, each with how often it was right; empty ones are left out."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for value in gains:
        sure = 1 / (1 + math.exp(-abs(value)))
        bins[min(BINS - 1, int((sure - 0.5) * 2 * BINS))].append((sure, value > 0))
    filled, off = [], 0.0
    for number, some in enumerate(bins):
        if some:
            predicted = fmean(sure for sure, _ in some)
            observed = share([right for _, right in some])
            edges = {"from": 0.5 + number / (2 * BINS), "to": 0.5 + (number + 1) / (2 * BINS)}
            filled.append({**edges, "predicted": predicted, "observed": share_json(observed)})
            off += abs(predicted * len(some) - observed.right)
    return {"bins": filled, "expected_calibration_error": off / len(gains)}


def length_bias(scored: Sequence[Scored]) -> dict[str, Any]:
    """Accuracy where the chosen reply is the longer, the shorter, and as long as the other; and the
    correlation of a pair's margin with its difference in tokens (None where one never varies)."""
    longer_by = [pair.tokens[0] - pair.tokens[1] for pair in scored]
    gains = margins(scored)
    both = list(zip(longer_by, gains, strict=True))
    return {
        "chosen_longer": share_json(share([gain > 0 for more, gain in both if more > 0])),
        "chosen_shorter": share_json(share([gain > 0 for more, gain in both if more < 0])),
        "equally_long": share_json(share([gain > 0 for more, gain in both if not more])),
        "correlation": _correlation(longer_by, gains),
    }


def _correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    try:
        return correlation(a, b)
    except StatisticsError:
        return None
