"""How likely a model finds given replies: perplexity, and which of two replies it prefers.

The ids are those that training and sampling see (`players/prompting/chat_template.py`), pairs are
read and scored by the code that measures them in training (`learners/pairs`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from tesuji.core.progress import Progress
from tesuji.core.statistics import clusters, ratio_interval, share
from tesuji.core.types import Example
from tesuji.evaluation.held_out.reader import Reader
from tesuji.evaluation.held_out.results import Likelihood, Preferences
from tesuji.learners.model.logprobs import Scored, Unscored, score_replies
from tesuji.learners.pairs.accuracy import margins, policy_verdicts
from tesuji.players.prompting.chat_template import render_reply


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """All rows that fit. `cut` prompts lost their beginning, `dropped` rows did not fit."""

    rows: tuple[Scored, ...]
    cut: int
    dropped: int


def score_examples(reader: Reader, rows: Sequence[Example], progress: Progress) -> ScoredRows:
    """The log-probability of every row's reply."""
    unscored, cut = [], 0
    for row in rows:
        reply = render_reply(reader.tokenizer, row.reply)
        if (fitted := reader.prompt(row.prompt, len(reply))) is not None:
            unscored.append(Unscored(row, fitted[0], [reply]))
            cut += fitted[1]
    dropped = len(rows) - len(unscored)
    progress.advance(dropped)
    return ScoredRows(tuple(score_replies(reader.sampler, unscored, progress)), cut, dropped)


def likelihood(rows: Sequence[Scored]) -> Likelihood | None:
    """Perplexity's parts over rows of examples; None of nothing."""
    if not rows:
        return None
    tokens = sum(row.tokens[0] for row in rows)
    nats = [-row.scores[0] for row in rows]
    parts = clusters((row.row, nat, row.tokens[0]) for row, nat in zip(rows, nats, strict=True))
    return Likelihood(
        replies=len(rows),
        matches=len(parts),
        tokens=tokens,
        nats_per_token=sum(nats) / tokens,
        interval=ratio_interval(parts),
        nats_per_reply=fmean(nats),
    )


def preferences(pairs: Sequence[Scored]) -> Preferences | None:
    """Which reply of each pair is the likelier; None of nothing."""
    if not pairs:
        return None
    gains, verdicts = margins(pairs), policy_verdicts(pairs)
    parts = clusters((pair.row, gain, 1) for pair, gain in zip(pairs, gains, strict=True))
    return Preferences(
        pairs=len(pairs),
        ties=gains.count(0.0),
        summed=share(verdicts["policy_preference"]),
        per_token=share(verdicts["policy_preference_per_token"]),
        margin=fmean(gains),
        margin_interval=ratio_interval(parts),
        shorter=share(verdicts["shorter_wins"]),
        longer=share(verdicts["longer_wins"]),
    )
