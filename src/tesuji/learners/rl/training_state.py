"""Everything a stage must remember from step to step, and find again after a kill."""

from pathlib import Path
from typing import Any

import torch

from tesuji.learners.distributed import is_main
from tesuji.learners.model.load import Policy
from tesuji.learners.rl.advantages import RoleBaseline
from tesuji.learners.rl.checkpoint import (
    checkpoints,
    keep_newest,
    load_copies,
    load_critic,
    load_optimizer,
    load_rollouts,
    read_state,
    save_checkpoint,
)
from tesuji.learners.rl.monitor import Alarms
from tesuji.learners.rl.rollout.play import Rollout
from tesuji.learners.rl.rollout.setup import RolloutSetup
from tesuji.learners.rl.token_layout import Flat
from tesuji.learners.rl.update.optimizer_step import Learner
from tesuji.learners.rl.update.reference import KLControl, Reference
from tesuji.learners.rl.weights import Weights, copy_of, move_towards
from tesuji.recipe.schema.rl import RLStage

PLAIN = ("step", "matches", "tokens", "best_score", "best_step", "stopped")


class TrainingState:
    """Counters, copies and controllers of one stage. `save` and `restore` are exact."""

    def __init__(
        self, stage: RLStage, policy: Policy, learner: Learner, setup: RolloutSetup, folder: Path
    ) -> None:
        self.stage, self.policy, self.learner = stage, policy, learner
        self.setup, self.folder = setup, folder
        self.step = self.matches = self.tokens = self.best_step = self.saved_at = 0
        self.best_score: float | None = None
        self.stopped = False
        self.rollouts: dict[int, Rollout] = {}  # played ahead, by their steps
        self.baseline = RoleBaseline()
        self.kl = KLControl(stage)
        self.alarms = Alarms()
        self.reference = Reference(stage, policy.model) if stage.beta else None
        self.ema: Weights = copy_of(policy.model) if stage.ema_decay else {}

    def observe(self, flat: Flat, kl: float, matches: int) -> None:
        """Baselines and the KL controller see this rollout, after its advantages were taken."""
        totals: dict[tuple[str, str, str], list[float]] = {}
        for trace in flat.traces:
            key = (trace.game, trace.role, trace.opponent)
            totals.setdefault(key, []).append(sum(trace.rewards))
        for key in sorted(totals):
            self.baseline.update(key, totals[key])
        if matches:
            self.kl.observe(kl, matches)

    def follow(self) -> None:
        """After a step: the average, the reference and the snapshots take it in."""
        if self.stage.ema_decay:
            move_towards(self.ema, self.policy.model, 1 - self.stage.ema_decay)
        if self.reference is not None:
            self.reference.follow(self.step, self.policy.model)
        self.setup.follow(self.step)

    def is_best(self, score: float) -> bool:
        """Whether no evaluation before scored as much; remembered if so."""
        if self.best_score is not None and not score > self.best_score:
            return False
        self.best_score, self.best_step = score, self.step
        return True

    def save(self, optimizer: Weights) -> None:
        """Write a checkpoint of this moment; `optimizer` is what `gather_optimizer` gave."""
        copies = {"ema": self.ema, "reference": self.reference.weights if self.reference else {}}
        save_checkpoint(
            self.folder,
            self.step,
            self.policy,
            self.learner,
            copies,
            self.rollouts,
            optimizer,
            self._state(),
        )
        self._tidy()

    def _tidy(self) -> None:
        """Remove the checkpoints beyond the limit, and the snapshots that none of the others need;
        at a resume too, for a kill may have come before it."""
        keep_newest(self.folder, self.stage.save_total_limit)
        states = [read_state(path) for path in checkpoints(self.folder)]
        needed = {step for state in states for step in state["schedule"]["snapshots"]}
        self.setup.snapshots.prune(sorted(needed))

    def _state(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in PLAIN},
            "random_success": self.setup.random_successes,
            "schedule": self.setup.schedule.state_dict(),
            "baseline": self.baseline.state_dict(),
            "beta": self.kl.beta,
            "alarms": self.alarms.state_dict(),
            **self.learner.state_dict(),
            "torch_rng": torch.get_rng_state().tolist(),
        }

    def resume(self) -> None:
        """Go back to the newest checkpoint, if there is any. The policy itself was loaded from it
        already."""
        if not (saved := checkpoints(self.folder)):
            return
        state = read_state(saved[-1])
        for name in PLAIN:
            setattr(self, name, state[name])
        self.saved_at = self.step
        self.setup.restore(state["schedule"], state["random_success"])
        self.baseline.load_state_dict(state["baseline"])
        self.kl.beta = state["beta"]
        self.alarms.load_state_dict(state["alarms"])
        torch.set_rng_state(torch.tensor(state["torch_rng"], dtype=torch.uint8))
        self.learner.load_state_dict(state)
        load_critic(saved[-1], self.learner)
        load_optimizer(saved[-1], self.learner)
        self.rollouts = load_rollouts(saved[-1])
        copies = load_copies(saved[-1], self.policy.model.device)
        self.ema = copies.get("ema", {})
        if self.reference is not None:
            self.reference.weights = copies["reference"]
        if is_main():
            self._tidy()
