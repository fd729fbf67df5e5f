"""The loop of PPO, GRPO and REINFORCE++: play, estimate, update, look; and again.

    summary = train_rl(stage, policy, recipe=recipe, name="grpo", out=out, metrics=metrics)

What it simplifies: rollouts and updates are made by the same processes, in turns or, with
`max_staleness`, at the same time. Each of several plays its share of the matches, all know the
whole rollout, and each scores and learns from its share of the rows. A run killed at any moment and
started again ends with the same weights as one never killed (CPU): everything that is not in the
checkpoint follows from the recipe and its seed.
"""

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch

from tesuji.core.metric_log import MetricLog, TextLog
from tesuji.episodes.rewards.base import RewardModel
from tesuji.learners.distributed import is_main
from tesuji.learners.hooks import Hooks
from tesuji.learners.model.load import Policy
from tesuji.learners.rl.checkpoint import copy_model, gather_optimizer, save_model
from tesuji.learners.rl.metrics import rollout_metrics, speed, staleness
from tesuji.learners.rl.monitor import console_line
from tesuji.learners.rl.rollout.ahead import Rollouts
from tesuji.learners.rl.rollout.engine import rollout_engine
from tesuji.learners.rl.rollout.play import Rollout
from tesuji.learners.rl.rollout.ray_engine import Sources
from tesuji.learners.rl.rollout.setup import RolloutSetup
from tesuji.learners.rl.token_layout import Flat, flatten
from tesuji.learners.rl.training_state import TrainingState
from tesuji.learners.rl.update.build import build_learner
from tesuji.learners.rl.update.learn import (
    estimate_advantages,
    loss_inputs,
    new_unit,
    score_rollout,
    update,
)
from tesuji.learners.rl.update.optimizer_step import Learner
from tesuji.learners.rl.weights import swapped
from tesuji.learners.trainer.summary import TrainingSummary, model_facts
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import RLStage


@dataclass(frozen=True, slots=True, kw_only=True)
class RLSummary(TrainingSummary):
    """What the stage did; its tokens are those that were sampled."""

    matches: int
    best_step: int
    best_score: float | None

    def in_words(self) -> str:
        """One line for the screen."""
        took = f"{self.steps:,} steps, {self.matches:,} matches in {self.seconds:.0f} s"
        return f"{took}; {self.stopped_because}"


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
    sources: Sources | None = None,
) -> RLSummary:
    """Train `policy.model` in place and save what is handed on to `out/final`. `scorer` is the
    learned reward model, where the rewards name it; `sources` say where other processes load
    both, for rollouts elsewhere.

    Goes on from the newest checkpoint in `out/checkpoints`, whose weights `policy` must then hold.
    Raises EngineError when training cannot go on; the last checkpoint stays.
    """
    torch.manual_seed(recipe.seed)
    learner = build_learner(stage, policy, temperature=recipe.sampling.temperature, critic=critic)
    setup = RolloutSetup(stage, policy, recipe, out, learner.autocast, scorer)
    state = TrainingState(stage, policy, learner, setup, out / "checkpoints")
    state.resume()
    metrics.forget_after(name, state.step)
    text = TextLog(out, name) if is_main() else None
    with (
        rollout_engine(setup, sources, in_bf16=learner.in_bf16) as engine,
        Rollouts(setup, engine, kept=state.rollouts) as rollouts,
    ):
        loop = _Loop(
            stage, policy, recipe, name, out, metrics, text, hooks or Hooks(), learner, setup,
            rollouts, state,
        )  # fmt: skip
        return loop.run()


@dataclass(frozen=True)
class _Loop:
    """One stage under way: its parts, and how a step uses them."""

    stage: RLStage
    policy: Policy
    recipe: Recipe
    name: str
    out: Path
    metrics: MetricLog
    text: TextLog | None
    hooks: Hooks
    learner: Learner
    setup: RolloutSetup
    rollouts: Rollouts
    state: TrainingState

    def run(self) -> RLSummary:
        """Every step that is left, and the end."""
        started = time.monotonic()
        state, total = self.state, self.stage.max_steps
        while state.step < total and not state.stopped:
            self.step()
        if state.saved_at != state.step:
            self.save()
        return self.finish(started)

    def step(self) -> None:
        """Play, estimate and update; follow, evaluate, log and save."""
        state, stage = self.state, self.stage
        state.step += 1
        started = time.monotonic()
        rollout = self.rollouts.take(state.step)
        waited = time.monotonic() - started
        oldest = state.step - 1 - stage.max_staleness
        flat = flatten(rollout.learnable(longest=stage.max_length, oldest=oldest))
        sums = rollout.sums
        values = rollout_metrics(sums, rollout.outcomes, can_be_won=self.setup.can_be_won)
        lines = self.observe(rollout, values)
        values["speed/wait_seconds"] = waited
        self.rollouts.order(state.step)
        if flat.tokens:
            values |= self.learn(flat, rollout)
        state.matches += int(sums["matches"])
        state.tokens += int(sums["reply_tokens"])
        lines += self.learner.notices + state.alarms.look(state.step, values)
        self.learner.notices.clear()
        state.follow()
        values |= self.evaluate()
        line = console_line(state.step, values)
        self.report(values, line, lines)
        self.stop_or_save()
        self.hooks.on_step(state.step, stage.max_steps, line)

    def observe(self, rollout: Rollout, values: dict[str, float]) -> list[str]:
        """The schedule sees how the rollout ended; lines for the console, and more `values`."""
        setup = self.setup
        lines = setup.schedule.observe(rollout.outcomes)
        if setup.measures_random:
            self.rollouts.settle()
        values |= setup.schedule.metrics() | setup.random_success()
        return lines

    def learn(self, flat: Flat, rollout: Rollout) -> dict[str, float]:
        """Estimate the advantages of the rollout's tokens and update the weights."""
        started = time.monotonic()
        stage, state, learner = self.stage, self.state, self.learner
        beta = state.kl.beta
        scores = score_rollout(stage, learner, state.reference, flat)
        estimate, kl = estimate_advantages(stage, flat, scores, beta, state.baseline)
        device, unit = self.policy.model.device, new_unit(learner, estimate)
        tokens = loss_inputs(stage, flat, scores, estimate, device, unit)
        means = update(
            stage, learner, flat, tokens, recipe=self.recipe, number=state.step, beta=beta
        )
        state.observe(flat, kl or 0.0, int(rollout.sums["matches"]))
        seconds = time.monotonic() - started
        return {
            **means,
            **estimate.metrics(),
            **({} if kl is None else {"kl": kl}),
            "kl_coef": state.kl.beta,
            "learning_rate": float(learner.optimizer.param_groups[0]["lr"]),
            "staleness": staleness(flat.traces, state.step),
            "micro_batch_tokens": learner.micro_batch_tokens,
            **speed(rollout.sums, rollout.seconds, flat.tokens, seconds),
        }

    def evaluate(self) -> dict[str, float]:
        """Every `eval_steps` how good the model is; the best so far is kept in `best`."""
        state, evaluate = self.state, self.hooks.evaluate
        if not evaluate or not self.stage.eval_steps or state.step % self.stage.eval_steps:
            return {}
        self.rollouts.settle()
        with self.averaged():
            values = evaluate(state.step)
            if state.is_best(values["score"]) and is_main():
                save_model(self.out / "best", self.policy, self.learner)
        return {f"eval/{name}": value for name, value in values.items()}

    def averaged(self) -> AbstractContextManager[None]:
        """Inside, the model has the moving average of its weights, where the stage keeps one."""
        return swapped(self.policy.model, self.state.ema)

    def report(self, values: dict[str, float], line: str, more: list[str]) -> None:
        """To the metric log and the text log; the line, every `logging_steps`, and more to read."""
        if self.text is None:
            return
        step = self.state.step
        self.metrics.log(self.name, step, values)
        self.text.step(step, values)
        due = step % self.stage.logging_steps == 0 or step == 1
        for text in [line, *more] if due else more:
            self.hooks.say(text)

    def stop_or_save(self) -> None:
        """Ask whether to stop, and write a checkpoint, where it is time to."""
        stage, state = self.stage, self.state
        due = state.step % stage.stop_check_steps == 0 or state.step == stage.max_steps
        if self.hooks.stop_when and due:
            self.rollouts.settle()
            with self.averaged():
                state.stopped = self.hooks.stop_when(state.step)
        if state.step % stage.save_steps == 0 or state.stopped:
            self.save()

    def save(self) -> None:
        """A checkpoint; every process waits for it."""
        self.state.rollouts = self.rollouts.keep()
        optimizer = gather_optimizer(self.learner)
        if is_main():
            self.state.save(optimizer)
        self.state.saved_at = self.state.step
        self.learner.accelerator.wait_for_everyone()

    def finish(self, started: float) -> RLSummary:
        """Write `final`, the model that scored best or the one at the end, and what was done."""
        state, best, final = self.state, self.out / "best", self.out / "final"
        use_best = self.stage.load_best_model_at_end and best.is_dir() and not state.stopped
        if is_main() and use_best:
            copy_model(best, final)
        elif is_main():
            with self.averaged():
                save_model(final, self.policy, self.learner)
        summary = RLSummary(
            steps=state.step,
            seconds=round(time.monotonic() - started, 2),
            matches=state.matches,
            tokens=state.tokens,
            stopped_because=why_ended(state, use_best),
            best_step=state.best_step,
            best_score=state.best_score,
            **model_facts(self.policy.model),
        )
        if is_main():
            summary.write(self.out)
        return summary


def why_ended(state: TrainingState, use_best: bool) -> str:
    """In words for people."""
    if state.stopped:
        return f"the certificate held at step {state.step}"
    if not use_best:
        return "all steps done"
    if not state.best_step:
        return (
            "all steps done; the model before training was best, so the one handed on is that one: "
            "no step of this stage has made it better"
        )
    return f"all steps done; step {state.best_step} was best"
