"""The coefficient of the KL divergence, steered: Ziegler et al.'s formula, and always above 0."""

import math
import random

import pytest

from tesuji.learners.rl.update.reference import KLControl
from tesuji.recipe.schema.rl import PpoStage


def control(beta: float = 0.2, target: float = 0.1, horizon: int = 100) -> KLControl:
    return KLControl(PpoStage(beta=beta, kl_in="reward", target_kl=target, kl_horizon=horizon))


@pytest.mark.parametrize("kl", [-1.0, 0.0, 0.09, 0.1, 0.11, 3.0, math.inf])
@pytest.mark.parametrize("matches", [0, 1, 64, 100])
def test_up_to_a_horizon_of_matches_it_is_the_published_formula(kl: float, matches: int) -> None:
    steered = control()
    steered.observe(kl, matches)
    error = min(0.2, max(-0.2, kl / 0.1 - 1))
    assert steered.beta == pytest.approx(0.2 * (1 + error * matches / 100), rel=1e-12)


def test_whatever_is_measured_it_stays_positive_and_finite() -> None:
    draw = random.Random(11)
    for _ in range(300):
        steered = control(
            beta=10 ** draw.uniform(-9, 3),
            target=10 ** draw.uniform(-6, 2),
            horizon=draw.choice([1, 7, 640, 10_000]),
        )
        one_way = draw.choice([-math.inf, math.inf, None])
        for _ in range(200):
            kl = draw.gauss(0, 1) * 10 ** draw.uniform(-6, 6) if one_way is None else one_way
            before = steered.beta
            steered.observe(kl, draw.choice([0, 1, 8, 2048, 10**9]))
            assert 0 < steered.beta < math.inf
            up = kl > steered.target
            assert steered.beta >= before * (1 - 1e-12) if up else steered.beta <= before


def test_it_comes_back_from_its_bounds() -> None:
    steered = control()
    for kl, beyond in ((0.0, 1e-3), (10.0, 1e3), (0.0, 1e-3)):
        for _ in range(200):
            steered.observe(kl, 10_000)
        assert (steered.beta - beyond) * (kl - steered.target) > 0
