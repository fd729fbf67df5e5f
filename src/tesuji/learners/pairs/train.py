"""What every stage that learns from pairs does: measure held-out pairs, train, measure again.

DPO and the reward model differ in what they measure and in TRL's trainer (`PairLearner`). Held-out
pairs are measured by the same code as an evaluation measures them (`accuracy.py`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from tesuji.core.metric_log import MetricLog
from tesuji.core.types import Pair
from tesuji.learners.distributed import is_main
from tesuji.learners.fsdp import is_parted
from tesuji.learners.hooks import Hooks
from tesuji.learners.model.load import Policy
from tesuji.learners.model.logprobs import Scored
from tesuji.learners.model.memory import telling_memory
from tesuji.learners.model.rules import row_limit
from tesuji.learners.model.save import save_policy
from tesuji.learners.pairs.accuracy import Margin, Preference
from tesuji.learners.pairs.summary import PairSummary, log_once, summarise
from tesuji.learners.pairs.tokens import PairRow, PairTokens, tokenize_pairs, training_pairs
from tesuji.learners.trainer.trainer import arguments, for_training, optimizer, run
from tesuji.learners.whole import whole_weights
from tesuji.recipe.schema.pairs import PairTraining
from tesuji.recipe.schema.sections import PromptSection


@dataclass(frozen=True, slots=True)
class Trl:
    """A trainer of TRL and its configuration, with the `options` and `parts` that are their own,
    and how the trainer takes rows."""

    trainer: Any
    config: Any
    columns: Callable[[Sequence[PairRow]], Any]
    options: Mapping[str, Any]
    parts: Mapping[str, Any] = field(default_factory=dict)


class PairLearner(ABC):
    """A way to learn from pairs, and the model that learns. A sequence of a held-out pair has at
    most `longest` tokens."""

    def __init__(self, stage: PairTraining, policy: Policy, longest: int) -> None:
        self.stage, self.policy, self.longest = stage, policy, longest

    @abstractmethod
    def score(self, rows: Sequence[PairRow]) -> list[Scored]:
        """What the model now makes of every pair's two replies."""

    @abstractmethod
    def judge(
        self, scored: Sequence[Scored], begun: Sequence[Scored] | None = None
    ) -> tuple[Preference, Margin | None]:
        """How often the chosen reply is preferred, and, where it is known how the same pairs were
        scored at the beginning, the mean by which its reward is higher."""

    def perplexity(self, scored: Sequence[Scored]) -> float | None:
        """The policy's perplexity on the chosen replies; None where scores are no
        log-probabilities."""
        return None

    @abstractmethod
    def trl(self) -> Trl:
        """The trainer that learns."""

    def hand_back(self, dtype: Any) -> None:
        """Leave the model as it came, but for what it learned: in its own number type."""
        if not hasattr(self.policy.model, "peft_config"):
            self.policy.model.to(dtype)

    def save(
        self, out: Path, before: Preference, ended: Sequence[Scored], rows: Sequence[PairRow]
    ) -> None:
        """Write `out/final`, and what else the stage leaves."""
        save_policy(self.policy, out / "final")


class PairRun(TypedDict):
    """What a training on pairs is given, whatever learns."""

    name: str
    train: Sequence[Pair]
    held_out: Sequence[Pair]
    prompt: PromptSection
    out: Path
    seed: int
    metrics: MetricLog
    hooks: NotRequired[Hooks | None]


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
    hooks: Hooks | None = None,
) -> PairSummary:
    """Train the learner's model in place and save it to `out/final`; goes on from the newest
    checkpoint in `out/checkpoints`, the model being the one the stage began with.

    Raises DataError when no pair can be learned from, EngineError when training fails.
    """
    policy, stage = learner.policy, learner.stage
    dtype = policy.model.dtype
    limit = row_limit(stage.max_length, policy.model.config)
    rows = training_pairs(train, policy.tokenizer, prompt, limit, name)
    held = tokenize_pairs(held_out, policy.tokenizer, prompt, learner.longest)
    hooks = hooks or Hooks()
    for words in rows.warnings():
        hooks.say(words)
    begun = _scored(learner, held.rows, name)
    before, _ = learner.judge(begun)
    trainer = make_trainer(learner, rows, held, name=name, out=out, seed=seed)
    log_once(metrics, name, 0, before)
    seconds = run(trainer, name, out, metrics, hooks)
    if in_parts := is_parted(policy.model):
        learner.hand_back(dtype)  # which would part them again
    with whole_weights(policy.model):
        if not in_parts:
            learner.hand_back(dtype)
        ended = _scored(learner, held.rows, name)
        after, margin = learner.judge(ended, begun)
        log_once(metrics, name, trainer.state.global_step, after)
        if is_main():
            learner.save(out, before, ended, rows.rows)
    return summarise(
        trainer,
        out,
        seconds=seconds,
        rows=rows,
        held_out=held,
        before=before,
        after=after,
        perplexities=(learner.perplexity(begun), learner.perplexity(ended)),
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
    trl = learner.trl()
    trainer = trl.trainer(
        model=model,
        args=trl.config(**options, **trl.options, max_length=None),
        train_dataset=trl.columns(rows.rows),
        eval_dataset=trl.columns(held.rows) if looking else None,
        processing_class=learner.policy.tokenizer,
        optimizers=(optimizer(stage, model), None),
        **trl.parts,
    )
    trainer.stage_name = name
    return trainer


def _scored(learner: PairLearner, rows: Sequence[PairRow], name: str) -> list[Scored]:
    """Of the held-out pairs, which the main process scores for all."""
    if not is_main():
        return []
    where, hint = f"stages.{name}.batch_size", "lower batch_size or max_length"
    with telling_memory("while held-out pairs were scored", where=where, hint=hint):
        return learner.score(rows)
