"""The figures of a run that runs are compared by: of its last evaluation, and what it took."""

import math
from collections.abc import Iterator
from pathlib import Path

from tesuji.core.errors import DataError
from tesuji.core.statistics import Interval, Share
from tesuji.evaluation.metrics import evaluation_metrics
from tesuji.evaluation.results import Evaluation
from tesuji.report.collect import RunSummary, collect
from tesuji.report.compare.noise import Measured

STEPS, MINUTES, HOLDS = "steps", "minutes", "certificate/holds"
SHARES = ("win_rate", "draw_rate", "loss_rate", "right", "optimal_moves", "legal", "decisions",
          "preference_accuracy", "holds")  # fmt: skip
BETTER_LOW = ("loss_rate", "losing_lines", "exploitability", "nash_conv", "perplexity", "loss")
NEITHER = ("turns", "lines", "draw_rate", STEPS, MINUTES)  # neither more of it nor less is better


def figures_of(run: RunSummary) -> dict[str, Measured]:
    """Name → what was measured, in the order it is shown; the names are those of the metric log,
    with `OPPONENT/draw_rate` and `certificate/holds` (1: no seat can be beaten) beside them, and
    the optimizer steps and minutes of all stages."""
    figures = judged(run.after.evaluation) if run.after and run.after.evaluation else {}
    steps = [stage.training.get("steps") for stage in run.stages]
    if counted := [count for count in steps if isinstance(count, int | float)]:
        figures[STEPS] = Measured(float(sum(counted)))
    seconds = [stage.seconds for stage in run.stages if stage.seconds is not None]
    if seconds:
        figures[MINUTES] = Measured(sum(seconds) / 60)
    return figures


def judged(look: Evaluation) -> dict[str, Measured]:
    """What one evaluation found: each figure with what is known of its noise."""
    noise = dict(_noise(look))
    figures = {HOLDS: Measured(float(all(one.holds for one in look.certificates)))}
    found = figures if look.certificates else {}
    for name, value in evaluation_metrics(look).items():
        found[name] = noise.get(name, Measured(value))
        drawn = f"{name.removesuffix('win_rate')}draw_rate"
        if name.endswith("/win_rate") and drawn in noise:
            found[drawn] = noise[drawn]
    return found


def _noise(look: Evaluation) -> Iterator[tuple[str, Measured]]:
    """Shares with their counts, means with their intervals."""
    for row in look.matches:
        if row.seat is None and row.games:
            for end, part in (("win", row.wins), ("draw", row.draws), ("loss", row.losses)):
                yield f"{row.opponent}/{end}_rate", _share(part, row.games)
            mean = Measured(row.mean_return, interval=row.return_interval)
            yield f"{row.opponent}/mean_return", mean
            if row.winnings is not None:
                won = row.winnings
                yield f"{row.opponent}/mbb", Measured(won.mbb, interval=won.interval)
    for score in look.positions:
        if score.positions:
            yield f"{score.split}/optimal_moves", _share(score.optimal, score.positions)
    for task in look.tasks.rows if look.tasks else ():
        if task.tasks and not task.category:
            yield f"{task.split}/right", _share(task.right, task.tasks)
            mean = Measured(task.mean_return, interval=task.return_interval)
            yield f"{task.split}/mean_return", mean
    yield from _of_rows(look)


def _of_rows(look: Evaluation) -> Iterator[tuple[str, Measured]]:
    rows = look.rows
    shares: dict[str, Share | None] = {
        "preference_accuracy": rows.preferences.summed if rows and rows.preferences else None,
        "legal": rows.replies.legal if rows and rows.replies else None,
        "decisions": rows.decisions.action if rows and rows.decisions else None,
    }
    if rows and rows.likelihood:
        nats = rows.likelihood.interval
        bounds = Interval(*(math.exp(min(end, 700)) for end in (nats.low, nats.high)))
        yield "held_out/perplexity", Measured(rows.likelihood.perplexity, interval=bounds)
    for name, share in shares.items():
        if share is not None and share.total:
            yield f"held_out/{name}", _share(share.right, share.total)


def _share(part: int, of: int) -> Measured:
    return Measured(part / of, share=(part, of))


def figure_of(folder: Path, name: str) -> float:
    """One figure of a run; of a name that is no figure of its evaluation, what its metric log had
    last. Raises DataError that names those there are."""
    run = collect(folder)
    figures = figures_of(run)
    if name in figures:
        return figures[name].value
    logged = last_logged(run)
    if name in logged:
        return logged[name]
    known = ", ".join(figures) or "no evaluation after training"
    raise DataError(f"no figure {name!r} in this run", where=str(folder), hint=f"there: {known}")


def last_logged(run: RunSummary) -> dict[str, float]:
    """The last value of every metric in the log."""
    last: dict[str, float] = {}
    for row in run.metrics:
        last |= {
            key: float(value)
            for key, value in row.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
    return last


def higher_is_better(name: str) -> bool | None:
    """Which way is better; None where neither is, as far as the name tells."""
    end = name.rpartition("/")[2]
    if end in NEITHER:
        return None
    return not any(end == one or end.endswith(f"_{one}") for one in BETTER_LOW)
