"""The figures of a run that runs are compared by: of its last evaluation, and what it took."""

from collections.abc import Mapping
from pathlib import Path

from tesuji.core.errors import DataError
from tesuji.evaluation.metrics import evaluation_metrics
from tesuji.evaluation.results import Evaluation
from tesuji.report.collect import RunSummary, collect

STEPS, MINUTES, HOLDS = "steps", "minutes", "certificate/holds"
BETTER_LOW = ("loss_rate", "losing_lines", "exploitability", "nash_conv", "perplexity", "loss")
NEITHER = ("turns", "lines", "draw_rate", STEPS, MINUTES)  # neither more of it nor less is better


def figures_of(run: RunSummary) -> dict[str, float]:
    """Name → value, in the order they are shown; the names are those of the metric log, with
    `OPPONENT/draw_rate` and `certificate/holds` (1: no seat can be beaten) beside them."""
    figures = judged(run.after.evaluation) if run.after and run.after.evaluation else {}
    steps = [stage.training.get("steps") for stage in run.stages]
    counted = [count for count in steps if isinstance(count, int | float)]
    if counted:
        figures[STEPS] = float(sum(counted))
    seconds = [stage.seconds for stage in run.stages if stage.seconds is not None]
    if seconds:
        figures[MINUTES] = sum(seconds) / 60
    return figures


def judged(look: Evaluation) -> dict[str, float]:
    """What one evaluation found, as numbers."""
    figures = dict(evaluation_metrics(look))
    if look.certificates:
        figures = {HOLDS: float(all(one.holds for one in look.certificates)), **figures}
    for row in look.matches:
        if row.seat is None and row.games and not row.unjudged:
            figures[f"{row.opponent}/draw_rate"] = row.draws / row.games
    return figures


def figure_of(folder: Path, name: str) -> float:
    """One figure of a run; of a name that is no figure of its evaluation, what its metric log had
    last. Raises DataError that names those there are."""
    run = collect(folder)
    figures = figures_of(run) or {}
    if name in figures:
        return figures[name]
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


def compared(figures: Mapping[str, float]) -> list[str]:
    """The names of those that say how good a model is."""
    return [name for name in figures if higher_is_better(name) is not None]
