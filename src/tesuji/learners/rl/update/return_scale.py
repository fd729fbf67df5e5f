"""The unit in which the critic speaks: the root mean square of the returns of late.

The value head says how many of these units are still to be earned, so that how quickly it learns,
its share of the gradient's norm and `clip_range_vf` do not depend on what the game pays in (van
Hasselt et al. 2016, PopArt; without their shift of the mean).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from tesuji.learners.rl.advantages import Moments

DECAY = 0.95


class ReturnScale:
    """A moving average, bias-corrected as Adam's; `unit` is 1 until a return was other than 0."""

    def __init__(self) -> None:
        self.mean_square, self.rollouts = 0.0, 0

    @property
    def unit(self) -> float:
        """One unit in returns."""
        if not self.mean_square:
            return 1.0
        return float((self.mean_square / (1 - DECAY**self.rollouts)) ** 0.5)

    @torch.no_grad()
    def observe(self, moments: Moments, head: nn.Linear) -> None:
        """Take in the returns of a rollout (count, sum, sum of squares, over all processes) and
        scale the head, so that it says the same as before in the new unit."""
        count, _, squares = moments
        if not count:
            return
        before = self.unit
        self.mean_square = DECAY * self.mean_square + (1 - DECAY) * squares / count
        self.rollouts += 1
        for parameter in head.parameters():
            parameter.mul_(before / self.unit)

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"mean_square": self.mean_square, "rollouts": self.rollouts}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.mean_square, self.rollouts = state["mean_square"], state["rollouts"]
