"""An evaluation's main figures, named as the metric log has them."""

from typing import Any

from tesuji.evaluation.held_out.results import RowsScore
from tesuji.evaluation.matches.certificate import as_metrics


def headline(found: Any) -> dict[str, float]:
    """The evaluation's main figures as metrics."""
    figures = as_metrics(found.certificates) if found.certificates else {}
    if found.exploitability is not None:
        figures["exploitability"] = found.exploitability.exploitability
    for row in found.matches:
        if row.seat is None and row.games:
            figures[f"{row.opponent}/win_rate"] = row.wins / row.games
            figures[f"{row.opponent}/loss_rate"] = row.losses / row.games
            figures[f"{row.opponent}/turns"] = row.turns
        if row.seat is None and row.winnings is not None:
            figures[f"{row.opponent}/mbb"] = row.winnings.mbb
    for score in found.positions:
        if score.positions:
            figures[f"{score.split}/optimal_moves"] = score.optimal / score.positions
    for row in found.tasks.rows if found.tasks else ():
        if not row.category and row.tasks:
            figures[f"{row.split}/right"] = row.right / row.tasks
            figures[f"{row.split}/mean_return"] = row.mean_return
    return figures | (rows_headline(found.rows) if found.rows else {})


def rows_headline(found: RowsScore) -> dict[str, float]:
    """The main figures as metrics."""
    figures = {}
    if found.likelihood is not None:
        figures["held_out/perplexity"] = found.likelihood.perplexity
    if found.preferences is not None:
        figures["held_out/preference_accuracy"] = found.preferences.summed.rate
    if found.replies is not None and found.replies.legal.total:
        figures["held_out/legal"] = found.replies.legal.rate
    if found.decisions is not None:
        figures["held_out/decisions"] = found.decisions.action.rate
    return figures
