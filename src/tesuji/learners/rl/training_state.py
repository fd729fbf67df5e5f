"""Everything a stage must remember from step to step, and find again after a kill."""

from pathlib import Path
from typing import Any

import torch

from tesuji.learners.model.load import Policy
from tesuji.learners.rl.advantages import RoleBaseline
from tesuji.learners.rl.checkpoint import (
    checkpoints,
    load_copies,
    load_critic,
    load_optimizer,
    read_state,
    save_checkpoint,
)
from tesuji.learners.rl.distributed import gathered
from tesuji.learners.rl.monitor import Alarms
from tesuji.learners.rl.rollout.setup import Tables
from tesuji.learners.rl.update.build import named_parameters
from tesuji.learners.rl.update.optimizer_step import Learner
from tesuji.learners.rl.update.reference import KLControl, Reference
from tesuji.learners.rl.update.token_layout import Flat
from tesuji.learners.rl.weights import Weights, copy_of, move_towards
from tesuji.recipe.schema.rl import RLStage

PLAIN = ("step", "matches", "tokens", "best_score", "best_step", "stopped", "random_success")


class Memory:
    """Counters, copies and controllers of one stage. `save` and `restore` are exact."""

    def __init__(
        self, stage: RLStage, policy: Policy, learner: Learner, tables: Tables, folder: Path
    ) -> None:
        self.stage, self.policy, self.learner = stage, policy, learner
        self.tables, self.folder = tables, folder
        self.step = self.matches = self.tokens = self.best_step = self.saved_at = 0
        self.best_score: float | None = None
        self.stopped = False
        self.random_success: dict[str, float] = {}
        self.baseline = RoleBaseline()
        self.kl = KLControl(stage)
        self.alarms = Alarms()
        self.reference = Reference(stage, policy.model) if stage.beta else None
        self.ema: Weights = copy_of(policy.model) if stage.ema_decay else {}

    def learn(self, flat: Flat, kl: float, matches: int) -> None:
        """Baselines and the KL controller see this rollout, after its advantages were taken."""
        mine = [((t.game, t.role, t.opponent), sum(t.rewards)) for t in flat.traces]
        totals: dict[tuple[str, str, str], list[float]] = {}
        for key, total in gathered(mine):
            totals.setdefault(key, []).append(total)
        for key in sorted(totals):
            self.baseline.update(key, totals[key])
        kls = gathered([(kl, matches)])
        played = sum(count for _, count in kls)
        if played:
            self.kl.observe(sum(value * count for value, count in kls) / played, played)

    def follow(self) -> None:
        """After a step: the average, the reference and the snapshots take it in."""
        stage, model = self.stage, self.policy.model
        if stage.ema_decay:
            move_towards(self.ema, model, 1 - stage.ema_decay)
        if self.reference is not None:
            self.reference.follow(self.step, model)
        if self.tables.wants_snapshots and self.step % stage.play.snapshot_steps == 0:
            self.tables.snapshots.take(self.step)
            self.tables.schedule.add_snapshot(self.step)
            self.tables.snapshots.keep(self.tables.schedule.snapshots)

    def save(self) -> None:
        """Write a checkpoint of this moment."""
        module = self.learner.module
        save_checkpoint(
            self.folder,
            self.step,
            policy=self.policy.model,
            tokenizer=self.policy.tokenizer,
            critic=module.critic_part(),
            optimizer=self.learner.optimizer,
            named=named_parameters(module),
            copies={"ema": self.ema, "reference": self._reference_weights()},
            state=self._state(),
            keep=self.stage.save_total_limit,
        )
        self.saved_at = self.step
        self._prune_snapshots()

    def _prune_snapshots(self) -> None:
        states = [read_state(path) for path in checkpoints(self.folder)]
        needed = {step for state in states for step in state["schedule"]["snapshots"]}
        self.tables.snapshots.prune(sorted(needed))

    def _reference_weights(self) -> Weights:
        return self.reference.weights if self.reference else {}

    def _state(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in PLAIN}
        return {
            **plain,
            "schedule": self.tables.schedule.state_dict(),
            "baseline": self.baseline.state_dict(),
            "beta": self.kl.beta,
            "alarms": self.alarms.state_dict(),
            "micro_batch_tokens": self.learner.micro_batch_tokens,
            "scheduler": _plain(self.learner.scheduler.state_dict()),
            "learning_rates": [group["lr"] for group in self.learner.optimizer.param_groups],
            "torch_rng": torch.get_rng_state().tolist(),
        }

    def restore(self, checkpoint: Path) -> None:
        """Go back to a checkpoint. The policy itself was loaded from it already."""
        state = read_state(checkpoint)
        for name in PLAIN:
            setattr(self, name, state[name])
        self.saved_at = self.step
        self.tables.schedule.load_state_dict(state["schedule"])
        self.tables.snapshots.keep(self.tables.schedule.snapshots)
        self.baseline.load_state_dict(state["baseline"])
        self.kl.beta = state["beta"]
        self.alarms.load_state_dict(state["alarms"])
        torch.set_rng_state(torch.tensor(state["torch_rng"], dtype=torch.uint8))
        self._restore_learner(checkpoint, state)

    def _restore_learner(self, checkpoint: Path, state: dict[str, Any]) -> None:
        learner, module = self.learner, self.learner.module
        if (critic := module.critic_part()) is not None:
            load_critic(checkpoint, critic)
        load_optimizer(checkpoint, learner.optimizer, named_parameters(module))
        learner.micro_batch_tokens = state["micro_batch_tokens"]
        # its functions are the recipe's; LambdaLR wants their places all the same
        learner.scheduler.load_state_dict({**state["scheduler"], "lr_lambdas": []})
        for group, rate in zip(
            learner.optimizer.param_groups, state["learning_rates"], strict=True
        ):
            group["lr"] = rate
        copies = load_copies(checkpoint, self.policy.model.device)
        self.ema = copies.get("ema", {})
        if self.reference is not None:
            self.reference.weights = copies["reference"]


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """A learning-rate scheduler's state without its functions, which the recipe gives again."""
    return {
        k: v
        for k, v in state.items()
        if isinstance(v, int | float | bool | list) and k != "lr_lambdas"
    }
