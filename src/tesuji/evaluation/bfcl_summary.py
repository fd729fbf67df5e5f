"""The summary lines of the function-calling leaderboard (BFCL v4), from figures by category.

Its non-live figures are unweighted means, its live ones are weighted by questions, as in its own
`eval_runner_helper`. A line is left out while one of its categories was not asked.
"""

import math
from collections.abc import Sequence

from tesuji.core.statistics import Z95, Interval
from tesuji.evaluation.results import Composite, TaskScore
from tesuji.games.base import Game

SIMPLE = ("simple_python", "simple_java", "simple_javascript")
THIRD, QUARTER = 1 / 3, 1 / 4
OTHERS = ("multiple", "parallel", "parallel_multiple")
UNWEIGHTED: dict[str, dict[str, float]] = {
    "simple AST": dict.fromkeys(SIMPLE, THIRD),
    "non-live AST": dict.fromkeys(SIMPLE, QUARTER * THIRD) | dict.fromkeys(OTHERS, QUARTER),
    "irrelevance, both": {"irrelevance": 0.5, "live_irrelevance": 0.5},
}
LIVE_AST = ("live_simple", "live_multiple", "live_parallel", "live_parallel_multiple")


def composites(game: Game, rows: Sequence[TaskScore]) -> tuple[Composite, ...]:
    """The lines that can be computed, side by side; none for other games."""
    if game.info.family != "bfcl":
        return ()
    lines = []
    for split in dict.fromkeys(row.split for row in rows):
        scored = {r.category: r for r in rows if r.split == split and r.category and r.tasks}
        lines += [
            _line(split, name, weights, scored)
            for name, weights in UNWEIGHTED.items()
            if weights.keys() <= scored.keys()
        ]
        if scored.keys() >= set(LIVE_AST):
            total = sum(scored[name].tasks for name in LIVE_AST)
            weights = {name: scored[name].tasks / total for name in LIVE_AST}
            lines.append(_line(split, "live AST", weights, scored))
    return tuple(lines)


def _line(
    split: str, name: str, weights: dict[str, float], scored: dict[str, TaskScore]
) -> Composite:
    """A weighted mean of shares with its normal interval, the categories being independent."""
    shares = {category: scored[category].right / scored[category].tasks for category in weights}
    mean = sum(weights[category] * share for category, share in shares.items())
    variance = sum(
        weights[category] ** 2 * share * (1 - share) / scored[category].tasks
        for category, share in shares.items()
    )
    half = Z95 * math.sqrt(variance)
    return Composite(split, name, mean, Interval(max(0.0, mean - half), min(1.0, mean + half)))
