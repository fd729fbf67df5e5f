"""The loss against its formulas, number by number."""

import math
import random

import pytest
import torch

from tesuji.learners.rl.update.loss import LossOptions, TokenData, token_loss


def slow(logp, old, behaviour, advantage, reference, value, old_value, target, entropy, o):
    """One token's loss in plain Python, from the docstring of the module."""
    rho = math.exp(max(-20, min(20, logp - old)))
    w = min(math.exp(max(-20, min(20, old - behaviour))), 2)
    clipped = min(max(rho, 1 - o.clip_range), 1 + o.clip_range_high)
    pg = -min(rho * advantage, clipped * advantage)
    if advantage < 0 and o.dual_clip is not None:
        pg = min(pg, -o.dual_clip * advantage)
    d = max(-20, min(20, reference - logp))
    kl = rho * (math.exp(d) - d - 1)
    vf = (value - target) ** 2
    if o.clip_range_vf is not None:
        moved = min(max(value, old_value - o.clip_range_vf), old_value + o.clip_range_vf)
        vf = max(vf, (moved - target) ** 2)
    return w * pg + o.beta * kl + o.vf_coef * 0.5 * vf - o.entropy_coef * entropy


OPTIONS = [
    LossOptions(),
    LossOptions(clip_range=0.1, clip_range_high=0.4, dual_clip=None, beta=0.05),
    LossOptions(beta=0.1, vf_coef=0.5, clip_range_vf=0.2, entropy_coef=0.01),
    LossOptions(vf_coef=1.0, clip_range_vf=None, dual_clip=1.5),
]


@pytest.mark.parametrize("options", OPTIONS)
def test_every_token_costs_what_the_formulas_say(options):
    draw = random.Random(4)
    rows = [[draw.gauss(-1, 1) for _ in range(3)] + [draw.gauss(0, 2)] for _ in range(300)]
    rows += [[-50.0, -1.0, -1.0, 1.0], [-0.1, -60.0, -60.0, -1.0], [-1.0, -1.0, -30.0, 2.0]]
    logp, old, behaviour, advantage = torch.tensor(rows, dtype=torch.float64).T
    count = len(rows)
    more = torch.randn(4, count, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    reference, value, old_value, target = more - 1
    entropy = more[0].abs()
    data = TokenData(advantage, behaviour, old, reference, old_value, target)
    found = token_loss(logp, data, options, entropy=entropy, values=value).loss
    columns = (logp, old, behaviour, advantage, reference, value, old_value, target, entropy)
    expected = [slow(*row, options) for row in zip(*(c.tolist() for c in columns), strict=True)]
    assert found.tolist() == pytest.approx(expected, rel=1e-9)
    assert torch.isfinite(found).all()


def test_one_update_needs_no_second_pass():
    logp = torch.tensor([-1.0, -2.0], requires_grad=True)
    advantage, behaviour = torch.tensor([1.0, -2.0]), torch.tensor([-1.1, -1.5])
    gradients = []
    for old in (None, logp.detach().clone()):
        data = TokenData(advantage, behaviour, old)
        found = token_loss(logp, data, LossOptions(), entropy=torch.zeros(2), values=None)
        (gradient,) = torch.autograd.grad(found.loss.sum(), logp)
        gradients.append(gradient)
    assert torch.equal(*gradients)
    weight = (logp.detach() - behaviour).exp()
    assert torch.allclose(gradients[0], -weight * advantage), "the weight is not differentiated"


def test_the_weight_of_the_mismatch_is_bounded():
    logp = torch.tensor([0.0], requires_grad=True)
    data = TokenData(torch.tensor([1.0]), torch.tensor([-9.0]))
    found = token_loss(logp, data, LossOptions(), entropy=torch.zeros(1), values=None)
    (gradient,) = torch.autograd.grad(found.loss.sum(), logp)
    assert gradient.item() == -2.0


def test_the_gradient_of_the_kl_points_to_the_reference():
    logp = torch.tensor([-1.0, -3.0], requires_grad=True)
    data = TokenData(torch.zeros(2), logp.detach(), None, torch.tensor([-2.0, -2.0]))
    options = LossOptions(beta=1.0)
    found = token_loss(logp, data, options, entropy=torch.zeros(2), values=None)
    (gradient,) = torch.autograd.grad(found.loss.sum(), logp)
    assert gradient[0] > 0 > gradient[1]


@pytest.mark.parametrize("gap", [-1e4, -80.0, 80.0, 1e4])
@pytest.mark.parametrize("advantage", [-3.0, 3.0])
def test_extreme_differences_stay_finite_in_float32(gap: float, advantage: float):
    logp = torch.tensor([-1.0], requires_grad=True)
    other = logp.detach() + gap
    options = LossOptions(dual_clip=None, beta=0.1)
    for data in (
        TokenData(torch.tensor([advantage]), logp.detach(), other, logp.detach()),
        TokenData(torch.tensor([advantage]), other, None, logp.detach()),
        TokenData(torch.tensor([advantage]), logp.detach(), None, other),
    ):
        found = token_loss(logp, data, options, entropy=torch.zeros(1), values=None)
        (gradient,) = torch.autograd.grad(found.loss.sum(), logp)
        assert torch.isfinite(found.loss).all()
        assert torch.isfinite(gradient).all()
        assert all(torch.isfinite(figure).all() for figure in found.figures.values())
