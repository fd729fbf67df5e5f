"""Which reply of a held-out pair a model prefers: shares with intervals, all together and by role.

    found = preference_accuracy(policy, pairs, recipe.prompt)
    found.shares["policy_preference"].share

`policy_preference`: the policy itself finds the chosen reply likelier (log-probability summed over
the reply's tokens, its end included); `..._per_token`: the same of the mean, which a long reply
does not lose by its length. `longer_wins` is what always preferring the longer reply would score.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tesuji.core.statistics import ratio_interval, wilson
from tesuji.core.types import Pair
from tesuji.learners.model.load import Policy
from tesuji.learners.pairs.logprobs import reply_logprobs
from tesuji.learners.pairs.tokens import PairRow, tokenize_pairs
from tesuji.recipe.schema.sections import PromptSection

UNLIMITED = 1 << 20  # tokens
Logprobs = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """`right` of `of` pairs; `low` and `high` are Wilson's 95% interval of the share, as if pairs
    were independent. The share of nothing is None."""

    right: int
    of: int
    share: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Preference:
    """What was measured on held-out pairs, by name of the measure, and the same by role."""

    pairs: int
    shares: Mapping[str, Accuracy]
    by_role: Mapping[str, Mapping[str, Accuracy]]

    def as_json(self) -> dict[str, Any]:
        """`{"pairs": n, measure: {...}, "by_role": {role: {measure: {...}}}}`."""
        shares = {name: asdict(share) for name, share in self.shares.items()}
        roles = {r: {n: asdict(s) for n, s in some.items()} for r, some in self.by_role.items()}
        return {"pairs": self.pairs, **shares, "by_role": roles}

    def as_metrics(self) -> dict[str, float]:
        """The shares for the metric log, under transformers' prefix for held-out rows."""
        return {f"eval_{n}": s.share for n, s in self.shares.items() if s.share is not None}


@dataclass(frozen=True, slots=True)
class Margin:
    """A mean over pairs and its 95% interval over matches; None where too little was measured."""

    mean: float
    low: float | None
    high: float | None


def preference_accuracy(
    policy: Policy,
    pairs: Sequence[Pair],
    prompt: PromptSection,
    *,
    max_length: int = UNLIMITED,
    batch_size: int = 32,
) -> Preference:
    """What the policy prefers of `pairs`. Equal or empty replies, and pairs that do not fit into
    `max_length` or the model, are left out: `pairs` of the result says how many were judged."""
    longest = getattr(policy.model.config, "max_position_embeddings", None) or UNLIMITED
    rows = tokenize_pairs(pairs, policy.tokenizer, prompt, min(max_length, longest)).rows
    return policy_preference(rows, reply_logprobs(policy, rows, batch_size))


def policy_preference(rows: Sequence[PairRow], logprobs: Logprobs) -> Preference:
    """The two policy measures, and the rule they are compared with."""
    return judged(rows, policy_verdicts(rows, logprobs))


def policy_verdicts(rows: Sequence[PairRow], logprobs: Logprobs) -> dict[str, list[bool]]:
    """By measure: whether each row's chosen reply is preferred. A tie is no preference."""
    paired = list(zip(rows, logprobs, strict=True))
    return {
        "policy_preference": [chosen > rejected for _, (chosen, rejected) in paired],
        "policy_preference_per_token": [
            chosen / len(row.chosen_ids) > rejected / len(row.rejected_ids)
            for row, (chosen, rejected) in paired
        ],
        "longer_wins": [len(row.chosen_ids) > len(row.rejected_ids) for row in rows],
    }


def judged(rows: Sequence[PairRow], verdicts: Mapping[str, Sequence[bool]]) -> Preference:
    """Verdicts (one a row, by measure) as shares, all together and by the pairs' role."""
    roles: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        if role := row.pair.about.get("role"):
            roles[str(role)].append(place)
    return Preference(
        pairs=len(rows),
        shares={name: accuracy(rights) for name, rights in verdicts.items()},
        by_role={
            role: {name: accuracy([rights[i] for i in some]) for name, rights in verdicts.items()}
            for role, some in sorted(roles.items())
        },
    )


def accuracy(rights: Sequence[bool]) -> Accuracy:
    """How many are true."""
    right, of = sum(rights), len(rights)
    interval = wilson(right, of)
    return Accuracy(right, of, right / of if of else None, interval.low, interval.high)


def margin(rows: Sequence[PairRow], margins: Sequence[float]) -> Margin | None:
    """The mean margin; pairs of one match (else of one position) hang together. None of nothing."""
    if not rows:
        return None
    sums: dict[Any, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for place, (row, value) in enumerate(zip(rows, margins, strict=True)):
        total = sums[row.pair.about.get("match") or row.pair.position or place]
        total[0] += value
        total[1] += 1
    interval = ratio_interval([(a, b) for a, b in sums.values()])
    mean = sum(margins) / len(margins)
    return Margin(mean, _finite(interval.low), _finite(interval.high))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
