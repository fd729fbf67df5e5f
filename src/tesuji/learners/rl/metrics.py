"""The numbers of a reinforcement-learning step: every name that is logged, and what it means.

`METRICS` is the table that docs/metrics.md shows; a test holds both, and what a run logs, together.
A name in capitals stands for whatever is called so (`reward/NAME`: a reward term).
"""

import resource
from collections.abc import Mapping, Sequence

import torch

from tesuji.core.files import read_beside
from tesuji.core.statistics import wilson
from tesuji.core.types import Trace
from tesuji.episodes.results import rate
from tesuji.episodes.schedule.schedule import PlayedTask

METRICS: Mapping[tuple[str, ...], str] = {
    tuple(names.split(", ")): meaning
    for names, meaning in read_beside(__file__, "metrics.yaml").items()
}


def rollout_metrics(
    sums: Mapping[str, float], outcomes: Sequence[PlayedTask], *, can_be_won: bool
) -> dict[str, float]:
    """Means of a rollout, over all processes, from the learning seats' viewpoint. What is won is
    left out where nothing can be."""
    seats, replies = max(1, sums["seats"]), max(1, sums["replies"])
    return {
        **{name: sums[name] / seats for name in sums if name.startswith("reward")},
        **(_won(outcomes) if can_be_won else {}),
        "illegal_moves": sums["illegal"] / replies,
        "replies_cut": sums["cut"] / replies,
        "reply_length": sums["reply_tokens"] / replies,
        "matches_failed": float(sums["failed"]),
        "matches_truncated": float(sums["truncated"]),
        "traces_too_long": float(sums["too_long"]),
        "traces_too_stale": float(sums["too_stale"]),
    }


def _won(outcomes: Sequence[PlayedTask]) -> dict[str, float]:
    score = sum(outcome.score for outcome in outcomes) / max(1, len(outcomes))
    successes, of = rate(outcome.success for outcome in outcomes)
    if outcomes and not of:
        return {"score": score}
    interval = wilson(successes, of)
    return {
        "score": score,
        "success": successes / max(1, of),
        "success_low": interval.low,
        "success_high": interval.high,
    }


def staleness(traces: Sequence[Trace], step: int) -> float:
    """Steps between the versions that played the traces and the newest, in the mean, before the
    update of `step`."""
    return step - 1 - sum(trace.policy_version for trace in traces) / len(traces)


def speed(
    sums: Mapping[str, float], playing: float, trained: int, updating: float
) -> dict[str, float]:
    """How fast, from seconds of playing (0: not known, of a checkpoint's rollout) and updating, and
    how many tokens were trained on."""
    if torch.cuda.is_available():
        memory = torch.cuda.max_memory_allocated() / 2**30
    else:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    rollout = {
        "speed/games_per_second": sums["matches"] / max(playing, 1e-9),
        "speed/sampled_tokens_per_second": sums["reply_tokens"] / max(playing, 1e-9),
        "speed/rollout_seconds": playing,
    }
    return {
        **(rollout if playing else {}),
        "speed/update_tokens_per_second": trained / max(updating, 1e-9),
        "speed/update_seconds": updating,
        "speed/memory_gb": memory,
    }
