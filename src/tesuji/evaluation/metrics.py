"""The names under which an evaluation's figures are logged, after a stage and within one.

`OPPONENT/win_rate`, `/loss_rate`, `/turns`, `/mbb` of matches, all seats together (`/mean_return`
in place of the rates where nothing says what winning is); `SPLIT/right` and `/mean_return` of
questions; `SPLIT/optimal_moves` of positions; `certificate/lines` and `/losing_lines`, both seats
together; `exploitability` or `nash_conv`; of held-out rows `held_out/perplexity`,
`/preference_accuracy`, `/legal` and `/decisions`. What was not measured has no name.
"""

from collections.abc import Sequence

from tesuji.evaluation.held_out.results import RowsScore
from tesuji.evaluation.results import (
    Certificate,
    Evaluation,
    Exploitability,
    MatchScore,
    TaskScore,
)


def evaluation_metrics(evaluation: Evaluation) -> dict[str, float]:
    """The main figures of everything that was measured."""
    metrics = certificate_metrics(evaluation.certificates)
    if evaluation.exploitability is not None:
        metrics |= exploitability_metrics(evaluation.exploitability)
    for match in evaluation.matches:
        metrics |= match_metrics(match) if match.seat is None else {}
    for score in evaluation.positions:
        if score.positions:
            metrics[f"{score.split}/optimal_moves"] = score.optimal / score.positions
    for row in evaluation.tasks.rows if evaluation.tasks else ():
        metrics |= question_metrics(row) if not row.category else {}
    return metrics | (held_out_metrics(evaluation.rows) if evaluation.rows else {})


def certificate_metrics(certificates: Sequence[Certificate]) -> dict[str, float]:
    """Lines and losing lines of both seats."""
    if not certificates:
        return {}
    return {
        "certificate/lines": sum(certificate.lines for certificate in certificates),
        "certificate/losing_lines": sum(certificate.losses for certificate in certificates),
    }


def exploitability_metrics(measured: Exploitability) -> dict[str, float]:
    """What a best response wins."""
    return {measured.name: measured.value}


def match_metrics(score: MatchScore) -> dict[str, float]:
    """Matches against one opponent."""
    if not score.games:
        return {}
    rates = {"win_rate": score.wins / score.games, "loss_rate": score.losses / score.games}
    figures = {"mean_return": score.mean_return} if score.unjudged else rates
    metrics = {f"{score.opponent}/{name}": value for name, value in figures.items()}
    metrics[f"{score.opponent}/turns"] = score.turns
    if score.winnings is not None:
        metrics[f"{score.opponent}/mbb"] = score.winnings.mbb
    return metrics


def question_metrics(score: TaskScore) -> dict[str, float]:
    """Questions of one side of the split."""
    if not score.tasks:
        return {}
    return {
        f"{score.split}/right": score.right / score.tasks,
        f"{score.split}/mean_return": score.mean_return,
    }


def held_out_metrics(score: RowsScore) -> dict[str, float]:
    """Held-out rows and pairs."""
    metrics = {}
    if score.likelihood is not None:
        metrics["held_out/perplexity"] = score.likelihood.perplexity
    if score.preferences is not None:
        metrics["held_out/preference_accuracy"] = score.preferences.summed.rate
    if score.replies is not None and score.replies.legal.total:
        metrics["held_out/legal"] = score.replies.legal.rate
    if score.decisions is not None:
        metrics["held_out/decisions"] = score.decisions.action.rate
    return metrics
