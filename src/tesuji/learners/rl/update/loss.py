"""The one loss of PPO, GRPO and REINFORCE++: pure functions of per-token tensors, in float32.

    rho = exp(logp - logp_old)
    w   = min(exp(logp_old - logp_behaviour), 2), not differentiated: sampler against trainer
    pg  = -min(rho * A, clip(rho, 1 - clip_range, 1 + clip_range_high) * A);  A < 0: at most -c * A
    kl  = rho * (exp(d) - d - 1), d = logp_ref - logp                       (k3, differentiated)
    vf  = 0.5 * max((V - R)^2, (clip(V, V_old - eps, V_old + eps) - R)^2)
    L   = w * pg + beta * kl + vf_coef * vf - entropy_coef * H

V and R are in units of the returns of late; the last token of a turn has a second vf, of the value
behind it.

Clipping: Schulman et al. 2017; clip-higher: Yu et al. 2025 (DAPO); dual clip: Ye et al. 2020; k3:
Schulman 2020, "Approximating KL divergence", with the ratio in front as in DeepSeek-V3.2; the
truncated weight w: Yao et al. 2025.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

LARGEST = 20.0  # of a difference of log-probs, before it is exponentiated
MOST_WEIGHT = 2.0


@dataclass(frozen=True, slots=True)
class LossOptions:
    """What the loss takes from the recipe; `clip_range_high` and the rest as named there."""

    clip_range: float = 0.2
    clip_range_high: float = 0.28
    dual_clip: float | None = 3.0
    beta: float = 0.0
    vf_coef: float = 0.0
    clip_range_vf: float | None = None
    entropy_coef: float = 0.0
    policy_coef: float = 1.0


@dataclass(frozen=True, slots=True)
class TokenData:
    """What is known of T trained tokens beside the policy's present opinion, each [T] or None.
    Values are in the unit of the value head; `after` are those behind the token, `after_returns`
    what they should be: NaN where that is not known."""

    advantages: Tensor
    behaviour: Tensor
    old: Tensor | None = None
    reference: Tensor | None = None
    values: Tensor | None = None
    returns: Tensor | None = None
    after: Tensor | None = None
    after_returns: Tensor | None = None


@dataclass(frozen=True, slots=True)
class TokenLoss:
    """Loss [T], and figures [T] for the log (detached)."""

    loss: Tensor
    figures: dict[str, Tensor]


def token_loss(
    logp: Tensor,
    data: TokenData,
    options: LossOptions,
    *,
    entropy: Tensor,
    values: Tensor | None,
    after: Tensor | None = None,
) -> TokenLoss:
    """The loss of each trained token. Where `data.old` is None the present log-probs stand for it:
    one update per rollout needs no second forward pass."""
    old = logp.detach() if data.old is None else data.old
    ratio = (logp - old).clamp(-LARGEST, LARGEST).exp()
    weight = (old - data.behaviour).clamp(-LARGEST, LARGEST).exp().clamp(max=MOST_WEIGHT)
    surrogate, clipped = policy_loss(ratio, data.advantages, options)
    loss = options.policy_coef * weight * surrogate
    figures = {
        "clip_share": clipped,
        "ratio": ratio,
        "entropy": entropy,
        "approx_kl": (ratio - 1) - (logp - old),
        "sampler_gap": (old - data.behaviour).abs(),
        "importance_weight": weight,
        "importance_cut": (weight == MOST_WEIGHT).float(),
    }
    if data.reference is not None:
        kl = figures["kl"] = k3(logp, data.reference)
        loss = loss + options.beta * (ratio * kl)  # unbiased also for an older policy's tokens
    if values is not None and data.values is not None and data.returns is not None:
        value = value_loss(values, data.values, data.returns, options.clip_range_vf)
        if after is not None and data.after is not None and data.after_returns is not None:
            known = ~data.after_returns.isnan()
            target = data.after_returns.nan_to_num()
            value = value + known * value_loss(after, data.after, target, options.clip_range_vf)
        figures["value_loss"] = value
        loss = loss + options.vf_coef * value
    if options.entropy_coef:
        loss = loss - options.policy_coef * options.entropy_coef * entropy
    return TokenLoss(loss, {name: figure.detach() for name, figure in figures.items()})


def policy_loss(ratio: Tensor, advantages: Tensor, options: LossOptions) -> tuple[Tensor, Tensor]:
    """The clipped surrogate [T], to be minimised, and where the clipping took hold [T]."""
    low, high = 1 - options.clip_range, 1 + options.clip_range_high
    plain, bounded = -ratio * advantages, -ratio.clamp(low, high) * advantages
    surrogate = torch.maximum(plain, bounded)
    if options.dual_clip is not None:
        most = -options.dual_clip * advantages
        surrogate = torch.where(advantages < 0, torch.minimum(surrogate, most), surrogate)
    outside = ((ratio < low) & (advantages < 0)) | ((ratio > high) & (advantages > 0))
    return surrogate, outside.float()


def k3(logp: Tensor, reference: Tensor) -> Tensor:
    """Schulman's low-variance estimate of KL(policy || reference) at sampled tokens [T]."""
    difference = (reference - logp).clamp(-LARGEST, LARGEST)
    return difference.exp() - difference - 1


def value_loss(
    values: Tensor, old_values: Tensor, returns: Tensor, clip_range_vf: float | None
) -> Tensor:
    """Half the squared error [T]; with `clip_range_vf` the worse of the plain and the clipped."""
    plain = (values - returns).square()
    if clip_range_vf is None:
        return 0.5 * plain
    moved = old_values + (values - old_values).clamp(-clip_range_vf, clip_range_vf)
    return 0.5 * torch.maximum(plain, (moved - returns).square())
