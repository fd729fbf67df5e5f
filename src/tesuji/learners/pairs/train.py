"""What every stage that learns from pairs does: measure held-out pairs, train, measure again.

DPO and the reward model differ in what they measure and in TRL's trainer (`PairLearner`). Held-out
pairs are measured by the same code as an evaluation measures them (`accuracy.py`).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tesuji.core.metric_log import MetricLog
from tesuji.core.types import Pair
from tesuji.learners.hooks import Hooks
from tesuji.learners.model.load import Policy
from tesuji.learners.model.logprobs import Scored
from tesuji.learners.model.memory import telling_memory
from tesuji.learners.model.save import save_policy
from tesuji.learners.pairs.accuracy import Margin, Preference
from tesuji.learners.pairs.summary import PairSummary, log_once, summarise
from tesuji.learners.pairs.tokens import PairRow, PairTokens, tokenize_pairs, training_pairs
from tesuji.learners.trainer.trainer import (
    arguments,
    for_training,
    listen,
    newest_checkpoint,
    optimizer,
    run,
    step_of,
)
from tesuji.recipe.schema.pairs import PairTraining
from tesuji.recipe.schema.sections import PromptSection


class PairLearner(ABC):
    """A way to learn from pairs, and the model that learns. A sequence of a held-out pair has at
    most `longest` tokens."""

    def __init__(self, stage: PairTraining, policy: Policy, longest: int) -> None:
        self.stage, self.policy, self.longest = stage, policy, longest

    @abstractmethod
    def score(self, rows: Sequence[PairRow]) -> list[Scored]:
        """What the model now makes of every pair's two replies."""

    @abstractmethod
    def preference(self, scored: Sequence[Scored]) -> Preference:
        """How often the chosen reply is preferred."""

    @abstractmethod
    def outcome(
        self, begun: Sequence[Scored], ended: Sequence[Scored]
    ) -> tuple[Preference, Margin | None]:
        """The same after training, and the mean by which the chosen reply's reward is higher."""

    @abstractmethod
    def columns(self, rows: Sequence[PairRow]) -> Any:
        """Rows as TRL's trainer takes them."""

    @abstractmethod
    def trainer(self, options: dict[str, Any], **parts: Any) -> Any:
        """TRL's trainer; `options` are its configuration, `parts` what else it is made of."""

    def hand_back(self, dtype: Any) -> None:
        """Leave the model as it came, but for what it learned: in its own number type."""
        if not hasattr(self.policy.model, "peft_config"):
            self.policy.model.to(dtype)

    def save(
        self, out: Path, before: Preference, ended: Sequence[Scored], rows: Sequence[PairRow]
    ) -> None:
        """Write `out/final`, and what else the stage leaves."""
        save_policy(self.policy, out / "final")


def train_pairs(
    learner: PairLearner,
    *,
    name: str,
    train: Sequence[Pair],
    held_out: Sequence[Pair],
    prompt: PromptSection,
    out: Path,
    seed: int,
    metrics: MetricLog,
    hooks: Hooks | None,
) -> PairSummary:
    """Train the learner's model in place and save it to `out/final`; goes on from the newest
    checkpoint in `out/checkpoints`, the model being the one the stage began with.

    Raises DataError when no pair can be learned from, EngineError when training fails.
    """
    policy, stage = learner.policy, learner.stage
    dtype = policy.model.dtype
    rows = training_pairs(train, policy.tokenizer, prompt, stage.max_length, name)
    held = tokenize_pairs(held_out, policy.tokenizer, prompt, learner.longest)
    begun = _scored(learner, held.rows, name)
    before = learner.preference(begun)
    trainer = make_trainer(learner, rows, held, name=name, out=out, seed=seed)
    listen(trainer, name, out, metrics, hooks or Hooks())
    checkpoint = newest_checkpoint(out / "checkpoints")
    metrics.forget_after(name, step_of(checkpoint))
    log_once(metrics, name, 0, before)
    seconds = run(trainer, name, out, checkpoint)
    learner.hand_back(dtype)
    ended = _scored(learner, held.rows, name)
    after, margin = learner.outcome(begun, ended)
    log_once(metrics, name, trainer.state.global_step, after)
    learner.save(out, before, ended, rows.rows)
    return summarise(
        trainer,
        out,
        seconds=seconds,
        rows=rows,
        held_out=held,
        before=before,
        after=after,
        margin=margin,
    )


def make_trainer(
    learner: PairLearner, rows: PairTokens, held: PairTokens, *, name: str, out: Path, seed: int
) -> Any:
    """TRL's trainer on rows that are cut, and the cuts counted, before they come here."""
    model, stage = learner.policy.model, learner.stage
    looking = bool(held.rows) and stage.eval_steps is not None
    in_bf16 = for_training(model)
    options = arguments(stage, model, out, seed, name=name, in_bf16=in_bf16, looking=looking)
    trainer = learner.trainer(
        {**options, "max_length": None},
        train_dataset=learner.columns(rows.rows),
        eval_dataset=learner.columns(held.rows) if looking else None,
        processing_class=learner.policy.tokenizer,
        optimizers=(optimizer(stage, model), None),
    )
    trainer.stage_name = name
    return trainer


def _scored(learner: PairLearner, rows: Sequence[PairRow], name: str) -> list[Scored]:
    where, hint = f"stages.{name}.batch_size", "lower batch_size or max_length"
    with telling_memory("while held-out pairs were scored", where=where, hint=hint):
        return learner.score(rows)
