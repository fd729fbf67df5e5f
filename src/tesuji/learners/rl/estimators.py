"""From rewards to advantages: one estimator for each kind of stage, by the type of its section.

    estimator = ESTIMATORS[type(stage)]          # PpoStage, GrpoStage or ReinforceStage
    advantages = estimator(stage, flat, evidence, baseline).advantages

All take the same arguments, and give one advantage a token, from its own seat's viewpoint.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from tesuji.learners.rl.advantages import (
    RoleBaseline,
    gae,
    group_advantages,
    returns_after,
    returns_to_go,
    whiten,
)
from tesuji.learners.rl.token_layout import Array, Flat
from tesuji.recipe.schema.rl import GrpoStage, PpoStage, ReinforceStage, RLStage

ROUNDING = 1e-20  # of the mean square: what equal returns may seem to vary by


@dataclass(frozen=True)
class Evidence:
    """What scoring the rollout gave, each [N] or None: values before each token, what each token
    costs for straying from the reference (`kl_in: reward`), values after each token."""

    values: Array | None = None
    penalty: Array | None = None
    after: Array | None = None


@dataclass(frozen=True)
class Estimate:
    """Advantages [N]; what the critic should have said [N], and behind the last token of a turn
    [N, NaN elsewhere] (PPO); figures for the log."""

    advantages: Array
    returns: Array | None = None
    figures: dict[str, float] = field(default_factory=dict)
    after_returns: Array | None = None

    def metrics(self) -> dict[str, float]:
        """The figures, and how large the advantages are."""
        some = len(self.advantages) > 0
        return {
            **self.figures,
            "advantage_std": float(self.advantages.std()) if some else 0.0,
            "advantage_max": float(np.abs(self.advantages).max()) if some else 0.0,
        }


def _ppo(stage: RLStage, flat: Flat, evidence: Evidence, baseline: RoleBaseline) -> Estimate:
    """A match cut off by the move limit bootstraps from the value after its last token, which is
    learned wherever another turn followed one. Where none did in the whole rollout, nothing is
    known of it, and the value before that token stands for it."""
    values = evidence.values
    assert isinstance(stage, PpoStage) and values is not None
    advantages, returns, later = np.empty((3, flat.tokens))
    followed = any(len(turns) and turns[0] != turns[-1] for turns in flat.turns)
    last = evidence.after if followed and evidence.after is not None else values
    for trace, span, turns in zip(flat.traces, flat.spans, flat.turns, strict=True):
        if not len(turns):
            continue
        advantages[span], returns[span] = gae(
            np.array(trace.rewards),
            values[span],
            turns,
            gamma=stage.gamma,
            gae_lambda=stage.gae_lambda,
            bootstrap=float(last[span][-1]) if trace.truncated else 0.0,
            extra=_part(evidence.penalty, span),
        )
        later[span] = returns_after(returns[span], turns, stage.gamma)
    spread = float(returns.var())
    differ = spread > ROUNDING * float(np.square(returns).mean()) if flat.tokens else False
    explained = 1 - float((returns - values).var()) / spread if differ else 0.0
    return Estimate(advantages, returns, {"explained_variance": explained}, later)


def _grpo(stage: RLStage, flat: Flat, evidence: Evidence, baseline: RoleBaseline) -> Estimate:
    assert isinstance(stage, GrpoStage)
    groups = group_advantages(
        _rewards(flat, evidence),
        [trace.group for trace in flat.traces],
        gamma=stage.gamma,
        credit=stage.credit,
        scale=stage.scale_rewards,
        include_self=stage.dr_grpo,
        baselines=baseline,
        keys=[(trace.game, trace.role, trace.opponent) for trace in flat.traces],
    )
    advantages = np.empty(flat.tokens)
    for by_turn, span, turns in zip(groups.advantages, flat.spans, flat.turns, strict=True):
        advantages[span] = by_turn[turns]
    figures = {"zero_variance_groups": groups.flat_groups / max(1, groups.groups)}
    return Estimate(advantages, None, figures if groups.groups else {})


def _reinforce(stage: RLStage, flat: Flat, evidence: Evidence, baseline: RoleBaseline) -> Estimate:
    assert isinstance(stage, ReinforceStage)
    advantages = np.empty(flat.tokens)
    for trace, span, turns in zip(flat.traces, flat.spans, flat.turns, strict=True):
        if not len(turns):
            continue
        rewards, extra = np.array(trace.rewards), _part(evidence.penalty, span)
        advantages[span] = returns_to_go(rewards, turns, stage.gamma, extra=extra)
    return Estimate(advantages)


Estimator = Callable[[RLStage, Flat, Evidence, RoleBaseline], Estimate]

ESTIMATORS: Mapping[type[RLStage], Estimator] = {
    PpoStage: _ppo,
    GrpoStage: _grpo,
    ReinforceStage: _reinforce,
}


def whitened(estimate: Estimate) -> Estimate:
    """The same with advantages of mean 0 and deviation 1 over all tokens."""
    return replace(estimate, advantages=whiten(estimate.advantages))


def _part(values: Array | None, span: slice) -> Array | None:
    return None if values is None else values[span]


def _rewards(flat: Flat, evidence: Evidence) -> list[Array]:
    """Each trace's rewards by turn, less what its tokens cost."""
    by_trace = [np.array(trace.rewards, dtype=np.float64) for trace in flat.traces]
    if evidence.penalty is not None:
        for rewards, span, turns in zip(by_trace, flat.spans, flat.turns, strict=True):
            np.add.at(rewards, turns, evidence.penalty[span])
    return by_trace
