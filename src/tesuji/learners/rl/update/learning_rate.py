"""The learning rate as a function of how much of the stage is done.

Not of the optimizer steps taken: a rollout of few groups has fewer mini-batches than were asked
for, and one without a token to learn from has none. However many there are, the first step has the
schedule's first rate, and after the last rollout its end is reached.
"""

from typing import Any

from tesuji.recipe.schema.rl import RLStage


class LearningRate:
    """transformers' schedule of the stage, for every group of the optimizer."""

    def __init__(self, stage: RLStage, optimizer: Any) -> None:
        from transformers import get_scheduler

        self.total = stage.max_steps * stage.num_iterations * stage.num_mini_batches
        warmup = stage.warmup_steps if stage.warmup_steps >= 1 else stage.warmup_steps * self.total
        options = {"num_decay_steps": max(1, self.total // 5)}
        schedule = get_scheduler(
            stage.lr_scheduler_type,
            optimizer,
            num_warmup_steps=int(warmup),
            num_training_steps=self.total,
            scheduler_specific_kwargs=options if "stable" in stage.lr_scheduler_type else None,
        )
        self.optimizer = optimizer
        self.peaks, self.shares = schedule.base_lrs, schedule.lr_lambdas

    def at(self, done: float) -> None:
        """Give the optimizer the rates that the schedule has where this share (0..1) is done."""
        groups = self.optimizer.param_groups
        for group, peak, share in zip(groups, self.peaks, self.shares, strict=True):
            group["lr"] = peak * share(done * self.total)
