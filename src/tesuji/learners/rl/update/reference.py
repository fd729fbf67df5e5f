"""The reference the policy is held near: a copy of the trainable weights as they were.

With LoRA that is a copy of the adapter (small); with full fine-tuning, of the model. Where it
follows the policy slowly (`sync_ref_model`), self-play is regularised as in magnetic mirror
descent (Sokota et al. 2023): it converges where plain self-play goes round in circles.
"""

import math
from typing import Any

from tesuji.learners.rl.token_layout import Array, Flat
from tesuji.learners.rl.update.optimizer_step import Learner, score
from tesuji.learners.rl.weights import Weights, copy_of, move_towards, swapped
from tesuji.recipe.schema.rl import RLStage

LEAST_BETA, MOST_BETA = 1e-8, 1e8
MOST_CHANGE = 100.0  # of the logarithm, in one rollout


class Reference:
    """Holds the copy; `stage.beta` above 0 is why there is one."""

    def __init__(self, stage: RLStage, model: Any) -> None:
        self.stage = stage
        self.weights: Weights = copy_of(model)

    def logps(self, learner: Learner, flat: Flat) -> Array:
        """Log-probs [N] of the rollout's tokens under the reference."""
        with swapped(learner.module.model, self.weights):
            return score(learner, flat)[0]

    def follow(self, step: int, model: Any) -> None:
        """After `step`: move towards the policy, if it is time to."""
        if self.stage.sync_ref_model and step % self.stage.ref_model_sync_steps == 0:
            move_towards(self.weights, model, self.stage.ref_model_mixup_alpha)


class KLControl:
    """The KL coefficient: fixed, or steered towards `target_kl` (Ziegler et al. 2019).

    A rollout of more matches than the horizon counts as several of them, one horizon each: their
    formula, which is linear in the matches, would go below 0 there. The coefficient stays between
    bounds, so that neither 0 nor infinity is ever reached, from which nothing steers back.
    """

    def __init__(self, stage: RLStage) -> None:
        self.beta = stage.beta
        self.target, self.horizon = stage.target_kl, stage.kl_horizon
        self.least, self.most = min(LEAST_BETA, stage.beta), max(MOST_BETA, stage.beta)

    def observe(self, kl: float, matches: int) -> None:
        """Steer after a rollout of so many matches with this mean KL per token."""
        if self.target is None:
            return
        error = min(0.2, max(-0.2, kl / self.target - 1))
        horizons, rest = divmod(matches / self.horizon, 1)
        change = horizons * math.log1p(error) + math.log1p(error * rest)
        change = min(MOST_CHANGE, max(-MOST_CHANGE, change))
        self.beta = min(self.most, max(self.least, self.beta * math.exp(change)))
