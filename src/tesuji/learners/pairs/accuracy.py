"""Which reply of a held-out pair a model prefers: shares with intervals, all together and by role.

    scored = score_pairs(sampler, tokenize_pairs(pairs, tokenizer, prompt, max_length).rows)
    preference_of(scored, policy_verdicts(scored)).shares["policy_preference"].rate

`policy_preference`: the policy itself finds the chosen reply likelier (log-probability summed over
the reply's tokens, its end included); `..._per_token`: the same of the mean, which a long reply
does not lose by its length. `shorter_wins` and `longer_wins` are what always preferring the shorter
or the longer reply would score: a sum of log-probabilities favours short ones by itself.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from tesuji.core.progress import SILENT, Progress
from tesuji.core.statistics import Share, clusters, ratio_interval, share
from tesuji.learners.model.logprobs import Scored, Unscored, score_replies
from tesuji.learners.pairs.tokens import PairRow
from tesuji.players.sampling.local import LocalSampler


@dataclass(frozen=True, slots=True)
class Preference:
    """What was measured on held-out pairs, by name of the measure, and the same by role."""

    pairs: int
    shares: Mapping[str, Share]
    by_role: Mapping[str, Mapping[str, Share]]

    def as_json(self) -> dict[str, Any]:
        """`{"pairs": n, measure: {...}, "by_role": {role: {measure: {...}}}}`."""
        roles = {role: _as_json(shares) for role, shares in self.by_role.items()}
        return {"pairs": self.pairs, **_as_json(self.shares), "by_role": roles}

    def as_metrics(self) -> dict[str, float]:
        """The shares for the metric log, under transformers' prefix for held-out rows."""
        return {f"eval_{name}": share.rate for name, share in self.shares.items() if share.total}


@dataclass(frozen=True, slots=True)
class Margin:
    """A mean over pairs and its 95% interval over matches; None where too little was measured."""

    mean: float
    low: float | None
    high: float | None


def score_pairs(
    sampler: LocalSampler, rows: Sequence[PairRow], progress: Progress = SILENT
) -> list[Scored]:
    """The log-probabilities of every pair's two replies, the chosen one's first."""
    unscored = [Unscored(r.pair, r.prompt_ids, (r.chosen_ids, r.rejected_ids)) for r in rows]
    return score_replies(sampler, unscored, progress)


def policy_verdicts(scored: Sequence[Scored]) -> dict[str, list[bool]]:
    """By measure (the policy's two, and the rules they are compared with): whether each pair's
    chosen reply is preferred. A tie is no preference."""
    means = [[p / n for p, n in zip(pair.scores, pair.tokens, strict=True)] for pair in scored]
    return {
        "policy_preference": chosen_first(scored),
        "policy_preference_per_token": [chosen > rejected for chosen, rejected in means],
        "shorter_wins": shorter_wins(scored),
        "longer_wins": longer_wins(scored),
    }


def chosen_first(scored: Sequence[Scored]) -> list[bool]:
    """Whether each pair's chosen reply has the higher score."""
    return [margin > 0 for margin in margins(scored)]


def longer_wins(scored: Sequence[Scored]) -> list[bool]:
    """Whether each pair's chosen reply is the longer one."""
    return [pair.tokens[0] > pair.tokens[1] for pair in scored]


def shorter_wins(scored: Sequence[Scored]) -> list[bool]:
    """Whether each pair's chosen reply is the shorter one."""
    return [pair.tokens[0] < pair.tokens[1] for pair in scored]


def chosen_perplexity(scored: Sequence[Scored]) -> float | None:
    """Among how many tokens the policy is in doubt, in effect, at a token of the chosen replies;
    None of nothing."""
    tokens = sum(pair.tokens[0] for pair in scored)
    nats = -sum(pair.scores[0] for pair in scored) / max(tokens, 1)
    return (math.exp(nats) if nats < 700 else math.inf) if tokens else None


def margins(scored: Sequence[Scored]) -> list[float]:
    """By how much each pair's chosen reply scores higher."""
    return [pair.scores[0] - pair.scores[1] for pair in scored]


def preference_of(scored: Sequence[Scored], verdicts: Mapping[str, Sequence[bool]]) -> Preference:
    """Verdicts (one a pair, by measure) as shares, all together and by the pairs' role."""
    roles: dict[str, list[int]] = defaultdict(list)
    for place, pair in enumerate(scored):
        if role := pair.row.about.get("role"):
            roles[str(role)].append(place)
    return Preference(
        pairs=len(scored),
        shares={name: share(rights) for name, rights in verdicts.items()},
        by_role={
            role: {name: share([rights[i] for i in some]) for name, rights in verdicts.items()}
            for role, some in sorted(roles.items())
        },
    )


def margin_of(scored: Sequence[Scored], gains: Sequence[float]) -> Margin | None:
    """The mean of `gains`, one a pair; pairs of one match (else of one position) hang together.
    None of nothing."""
    if not scored:
        return None
    parts = clusters((pair.row, gain, 1) for pair, gain in zip(scored, gains, strict=True))
    interval = ratio_interval(parts)
    return Margin(fmean(gains), _finite(interval.low), _finite(interval.high))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def share_json(share: Share) -> dict[str, Any]:
    """A share as the files of a stage hold it; that of nothing is null."""
    return {
        "right": share.right,
        "of": share.total,
        "share": share.rate if share.total else None,
        "low": share.interval.low,
        "high": share.interval.high,
    }


def _as_json(shares: Mapping[str, Share]) -> dict[str, Any]:
    return {name: share_json(share) for name, share in shares.items()}
