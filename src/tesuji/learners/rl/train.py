"""The loop of PPO, GRPO and REINFORCE++: play, estimate, update, look; and again.

    summary = train_rl(stage, policy, recipe=recipe, name="grpo", out=out, metrics=metrics)

What it simplifies: rollout and update take turns in the same processes. A run killed at any moment
and started again ends with the same weights as one never killed (CPU, one process): everything
that is not in the checkpoint follows from the recipe and its seed.
"""

import random
import shutil
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tesuji.core.files import write_json
from tesuji.core.metric_log import MetricLog, TextLog
from tesuji.core.seeds import stream
from tesuji.core.types import Trace
from tesuji.episodes.rewards.base import RewardModel
from tesuji.learners.hooks import Hooks
from tesuji.learners.model.load import Policy, count_parameters
from tesuji.learners.rl.advantages import moments
from tesuji.learners.rl.checkpoint import checkpoints, save_critic
from tesuji.learners.rl.distributed import gathered, gathered_sums, is_main, summed
from tesuji.learners.rl.estimators import ESTIMATORS, Estimate, Evidence, whitened
from tesuji.learners.rl.monitor import WINNING, console_line, speed
from tesuji.learners.rl.rollout.play import Rollout, as_metrics, play
from tesuji.learners.rl.rollout.setup import Tables
from tesuji.learners.rl.training_state import Memory
from tesuji.learners.rl.update.build import build_learner, loss_options
from tesuji.learners.rl.update.loss import TokenData
from tesuji.learners.rl.update.optimizer_step import Tokens, rows_of, score, step, worth_a_pass
from tesuji.learners.rl.update.token_layout import Array, Flat, flatten, mini_batches
from tesuji.learners.rl.weights import swapped
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import GrpoStage, PpoStage, RLStage


@dataclass(frozen=True, slots=True)
class RLSummary:
    """What the stage did; written to `training.json`. Seconds are of this process alone."""

    steps: int
    seconds: float
    matches: int
    tokens: int
    parameters: int
    trainable_parameters: int
    stopped_because: str
    best_step: int
    best_score: float | None
    device: str

    def write(self, out: Path) -> None:
        """Put it into the stage's folder."""
        write_json(out / "training.json", {name: getattr(self, name) for name in self.__slots__})


def train_rl(
    stage: RLStage,
    policy: Policy,
    *,
    recipe: Recipe,
    name: str,
    out: Path,
    metrics: MetricLog,
    critic: Policy | None = None,
    scorer: RewardModel | None = None,
    hooks: Hooks | None = None,
) -> RLSummary:
    """Train `policy.model` in place and save what is handed on to `out/final`. `scorer` is the
    learned reward model, where the rewards name it.

    Goes on from the newest checkpoint in `out/checkpoints`, whose weights `policy` must then hold.
    Raises EngineError when training cannot go on; the last checkpoint stays.
    """
    return _Training(
        stage, policy, recipe, name, out, metrics, critic, scorer, hooks or Hooks()
    ).run()


class _Training:
    """One stage under way."""

    def __init__(
        self,
        stage: RLStage,
        policy: Policy,
        recipe: Recipe,
        name: str,
        out: Path,
        metrics: MetricLog,
        critic: Policy | None,
        scorer: RewardModel | None,
        hooks: Hooks,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.stage, self.policy, self.recipe = stage, policy, recipe
        self.name, self.out, self.metrics, self.hooks = name, out, metrics, hooks
        temperature = recipe.sampling.temperature
        self.learner = build_learner(stage, policy, temperature=temperature, critic=critic)
        self.tables = Tables(stage, policy, recipe, out, self.learner.autocast, scorer)
        self.memory = Memory(stage, policy, self.learner, self.tables, out / "checkpoints")
        self.text = TextLog(out, name)
        self.started = time.monotonic()

    def run(self) -> RLSummary:
        """Every step that is left, and the end."""
        memory, total = self.memory, self.stage.max_steps
        if found := checkpoints(self.out / "checkpoints"):
            memory.restore(found[-1])
        self.metrics.forget_after(self.name, memory.step)
        while memory.step < total and not memory.stopped:
            line = self._one_step()
            self.hooks.on_step(memory.step, total, line)
        if memory.saved_at != memory.step:
            self._save()
        return self._finish()

    def _one_step(self) -> str:
        memory = self.memory
        memory.step += 1
        rollout = self._rollout()
        flat = flatten(self._short_enough(rollout))
        sums, outcomes = gathered_sums(rollout.sums), gathered(rollout.outcomes)
        found = as_metrics(sums, outcomes)
        if not self.tables.can_be_won:
            found = {name: value for name, value in found.items() if name not in WINNING}
        if min(gathered([flat.tokens])):
            found |= self._learn(flat, rollout)
        lines = self.tables.schedule.observe(outcomes)
        found |= self.tables.schedule.metrics() | self.tables.random_success(memory)
        memory.matches += int(sums["matches"])
        memory.tokens += int(sums["reply_tokens"])
        lines += self.learner.told + memory.alarms.look(memory.step, found)
        self.learner.told.clear()
        self._after(found)
        line = console_line(memory.step, found)
        if memory.step % self.stage.logging_steps == 0 or memory.step == 1:
            lines.insert(0, line)
        for text in lines if is_main() else ():
            self.hooks.say(text)
        return line

    def _rollout(self) -> Rollout:
        tasks = self.tables.propose(self.stage)
        table = self.tables.table()
        return play(tasks, table, version=self.memory.step - 1)

    def _short_enough(self, rollout: Rollout) -> list[Trace]:
        """The traces that fit `max_length`; the others are counted."""
        most = self.stage.max_length
        fit = [t for t in rollout.traces if all(len(s.token_ids) <= most for s in t.segments)]
        rollout.sums["too_long"] += len(rollout.traces) - len(fit)
        return fit

    def _learn(self, flat: Flat, rollout: Rollout) -> dict[str, float]:
        """Estimate and update; returns figures of the update."""
        started = time.monotonic()
        stage, memory, learner = self.stage, self.memory, self.learner
        several = stage.num_iterations * stage.num_mini_batches > 1
        needs_old = several or isinstance(stage, PpoStage) or stage.kl_in == "reward"
        old, values = score(learner, flat) if needs_old else (None, None)
        reference = memory.reference.logps(learner, flat) if memory.reference else None
        found, kl = self._estimate(flat, old, values, reference)
        strayed = {"kl": kl} if stage.kl_in == "reward" and reference is not None else {}
        tokens = self._tokens(flat, old, values, reference, found)
        figures = self._update(flat, tokens)
        memory.learn(flat, kl, int(rollout.sums["matches"]))
        seconds = time.monotonic() - started
        return {
            **figures,
            **found.figures,
            **strayed,
            "kl_coef": memory.kl.beta,
            "advantage_std": float(found.advantages.std()) if flat.tokens else 0.0,
            "advantage_max": float(np.abs(found.advantages).max()) if flat.tokens else 0.0,
            "learning_rate": float(learner.optimizer.param_groups[0]["lr"]),
            "micro_batch_tokens": learner.micro_batch_tokens,
            **speed(rollout.sums, rollout.seconds, flat.tokens, seconds),
        }

    def _estimate(
        self, flat: Flat, old: Array | None, values: Array | None, reference: Array | None
    ) -> tuple[Estimate, float]:
        """Advantages, and the mean KL (k1) from the reference."""
        stage, memory = self.stage, self.memory
        penalty, kl = None, 0.0
        if stage.kl_in == "reward" and reference is not None and old is not None:
            penalty = -memory.kl.beta * (old - reference)
            kl = float((old - reference).mean()) if flat.tokens else 0.0
        estimate = ESTIMATORS[type(stage)]
        found = estimate(stage, flat, Evidence(values, penalty), memory.baseline)
        if stage.whiten_advantages:
            found = whitened(found, summed(moments(found.advantages)))
        return found, kl

    def _tokens(
        self,
        flat: Flat,
        old: Array | None,
        values: Array | None,
        reference: Array | None,
        found: Estimate,
    ) -> Tokens:
        def put(array: Array | None) -> Any:
            device = self.policy.model.device
            return (
                None if array is None else torch.tensor(array, dtype=torch.float32, device=device)
            )

        weights = np.ones(flat.tokens)
        if self.stage.loss_type == "trace":
            for span in flat.spans:
                weights[span] = 1 / max(1, span.stop - span.start)
        in_loss = reference if self.stage.kl_in == "loss" else None
        data = TokenData(
            advantages=put(found.advantages),
            behaviour=put(flat.behaviour),
            old=put(old),
            reference=put(in_loss),
            values=put(values),
            returns=put(found.returns),
        )
        return Tokens(data, put(weights))

    def _update(self, flat: Flat, tokens: Tokens) -> dict[str, float]:
        stage, memory = self.stage, self.memory
        options = loss_options(stage, memory.step, memory.kl.beta)
        totals: dict[str, float] = defaultdict(float)
        count = 0
        groups = len({flat.traces[owner].group for owner in flat.owner})
        parts = min(stage.num_mini_batches, *gathered([groups]))  # the same in every process
        for iteration in range(stage.num_iterations):
            order = random.Random(stream(self.recipe.seed, "minibatches", memory.step, iteration))
            for numbers in mini_batches(flat, parts, order):
                norm = self._norm(flat, numbers)
                rows = rows_of(self.learner, flat, worth_a_pass(flat, numbers, tokens, options))
                for figure, value in step(self.learner, rows, tokens, norm, options).items():
                    totals[figure] += value
                count += 1
        return {name: total / count for name, total in totals.items()}

    def _norm(self, flat: Flat, numbers: list[int]) -> float:
        """What the summed loss is divided by: tokens, traces or (Dr. GRPO) the room for tokens."""
        owners = {flat.owner[number] for number in numbers}
        if isinstance(self.stage, GrpoStage) and self.stage.dr_grpo:
            turns = sum(len(flat.traces[owner].rewards) for owner in owners)
            mine = float(turns * self.recipe.sampling.max_new_tokens)
        elif self.stage.loss_type == "trace":
            mine = float(len(owners))
        else:
            turns_of = (flat.segments[number].turns for number in numbers)
            mine = float(sum(turn >= 0 for turns in turns_of for turn in turns))
        return max(1.0, sum(gathered([mine])))

    def _after(self, found: dict[str, float]) -> None:
        """Copies, evaluation, whether to stop, checkpoint; the metric line goes first."""
        stage, memory = self.stage, self.memory
        memory.follow()
        if self.hooks.evaluate and stage.eval_steps and memory.step % stage.eval_steps == 0:
            found |= self._evaluate()
        if is_main():
            self.metrics.log(self.name, memory.step, found)
            self.text.step(memory.step, found)
        due = memory.step % stage.stop_check_steps == 0 or memory.step == stage.max_steps
        if self.hooks.stop_when and due:
            with swapped(self.policy.model, memory.ema):
                memory.stopped = self.hooks.stop_when(memory.step)
        if memory.step % stage.save_steps == 0 or memory.stopped:
            self._save()

    def _evaluate(self) -> dict[str, float]:
        memory = self.memory
        assert self.hooks.evaluate is not None
        with swapped(self.policy.model, memory.ema):
            found = self.hooks.evaluate(memory.step)
            if memory.best_score is None or found["score"] > memory.best_score:
                memory.best_score, memory.best_step = found["score"], memory.step
                if is_main():
                    self._write_model(self.out / "best")
        return {f"eval/{name}": value for name, value in found.items()}

    def _save(self) -> None:
        if is_main():
            self.memory.save()
        self.learner.accelerator.wait_for_everyone()

    def _write_model(self, folder: Path) -> None:
        """The policy as it now is, and the value head beside it; whole or not at all."""
        aside = folder.with_name(f".{folder.name}")
        shutil.rmtree(aside, ignore_errors=True)
        self.policy.model.save_pretrained(aside)
        self.policy.tokenizer.save_pretrained(aside)
        if (critic := self.learner.module.critic_part()) is not None:
            save_critic(aside, critic)
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)

    def _finish(self) -> RLSummary:
        memory = self.memory
        best = self.out / "best"
        use_best = self.stage.load_best_model_at_end and best.is_dir() and not memory.stopped
        if is_main():
            if use_best:
                shutil.rmtree(self.out / "final", ignore_errors=True)
                shutil.copytree(best, self.out / "final")
            else:
                with swapped(self.policy.model, memory.ema):
                    self._write_model(self.out / "final")
        every, trainable = count_parameters(self.policy.model)
        summary = RLSummary(
            steps=memory.step,
            seconds=round(time.monotonic() - self.started, 2),
            matches=memory.matches,
            tokens=memory.tokens,
            parameters=every,
            trainable_parameters=trainable,
            stopped_because=why_ended(memory, use_best),
            best_step=memory.best_step,
            best_score=memory.best_score,
            device=str(self.policy.model.device),
        )
        if is_main():
            summary.write(self.out)
        return summary


def why_ended(memory: Memory, use_best: bool) -> str:
    """In words for people."""
    if memory.stopped:
        return f"the certificate held at step {memory.step}"
    return f"all steps done; step {memory.best_step} was best" if use_best else "all steps done"
