"""Supervised fine-tuning on TRL's SFTTrainer: completion-only loss, resume, early stopping.

What it simplifies: no packing (game rows are short), one data set, one process group as
Accelerate sets it up. Rows are tokenised here, by the same code as the sampler's prompts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tesuji.core.metric_log import MetricLog
from tesuji.core.types import Example
from tesuji.learners.distributed import is_main, is_sharded
from tesuji.learners.hooks import Hooks
from tesuji.learners.model.adapter import refuse_head
from tesuji.learners.model.load import Policy
from tesuji.learners.model.rules import row_limit
from tesuji.learners.model.save import save_policy
from tesuji.learners.sft.tokens import Tokenized, tokenize
from tesuji.learners.trainer.summary import TrainingSummary, cut_words, trainer_facts
from tesuji.learners.trainer.trainer import (
    STOPPED,
    arguments,
    for_training,
    optimizer,
    run,
)
from tesuji.learners.whole import whole_weights
from tesuji.recipe.schema.sections import PromptSection
from tesuji.recipe.schema.stages import SftStage


@dataclass(frozen=True, slots=True, kw_only=True)
class SftSummary(TrainingSummary):
    """`rows_cut` lost their prompt's beginning to the length limit, `rows_dropped` did not fit;
    `longest_row` is what the longest had before, in tokens."""

    rows: int
    rows_cut: int
    rows_dropped: int
    longest_row: int

    def in_words(self) -> str:
        """One line for the screen."""
        cut = cut_words(self.rows_cut, self.rows)
        return "; ".join((TrainingSummary.in_words(self), *cut))


def train_sft(
    stage: SftStage,
    policy: Policy,
    *,
    name: str,
    train: Sequence[Example],
    held_out: Sequence[Example],
    prompt: PromptSection,
    out: Path,
    seed: int,
    metrics: MetricLog,
    hooks: Hooks | None = None,
) -> SftSummary:
    """Train `policy.model` in place and save it to `out/final`.

    Picks up at the newest checkpoint in `out/checkpoints`, if there is one. Raises DataError for
    rows that cannot be trained on, EngineError when training fails.
    """
    refuse_head(policy.model)
    hooks = hooks or Hooks()
    rows = _tokenized(train, policy, stage, prompt, name)
    looking = held_out and stage.eval_steps
    looks = _tokenized(held_out, policy, stage, prompt, name) if looking else None
    for words in cut_words(rows.cut, len(rows.rows)):
        hooks.say(words)
    trainer = _trainer(stage, policy, rows, looks, name=name, out=out, seed=seed)
    _add_stops(trainer, stage, out, hooks)
    seconds = run(trainer, name, out, metrics, hooks)
    summary = SftSummary(
        rows=len(rows.rows),
        rows_cut=rows.cut,
        rows_dropped=rows.dropped,
        longest_row=rows.longest,
        tokens=rows.tokens,
        **trainer_facts(trainer, out, seconds),
    )
    if is_sharded(policy.model):
        save_policy(policy, out / "final")
    else:
        with whole_weights(policy.model):
            if is_main():
                save_policy(policy, out / "final")
    if is_main():
        summary.write(out)
    return summary


def _tokenized(
    examples: Sequence[Example],
    policy: Policy,
    stage: SftStage,
    prompt: PromptSection,
    name: str,
) -> Tokenized:
    return tokenize(
        examples,
        policy.tokenizer,
        max_length=row_limit(stage.max_length, policy.model.config),
        name=name,
        shown=prompt.max_length,
        enable_thinking=prompt.enable_thinking,
        soft_targets=stage.soft_targets,
    )


def _trainer(
    stage: SftStage,
    policy: Policy,
    rows: Tokenized,
    looks: Tokenized | None,
    *,
    name: str,
    out: Path,
    seed: int,
) -> Any:
    from datasets import Dataset

    from tesuji.learners.sft.collate import SoftCollator, reads_trees, to_columns
    from tesuji.learners.sft.soft_targets import SoftTargetTrainer

    def dataset(tokenized: Tokenized) -> Any:
        return Dataset.from_list([to_columns(row) for row in tokenized.rows])

    return SoftTargetTrainer(
        model=policy.model,
        args=_arguments(stage, policy, name=name, out=out, seed=seed),
        train_dataset=dataset(rows),
        eval_dataset=dataset(looks) if looks else None,
        processing_class=policy.tokenizer,
        data_collator=SoftCollator(policy.tokenizer.pad_token_id, trees=reads_trees(policy.model)),
        optimizers=(optimizer(stage, policy.model), None),
    )


def _arguments(stage: SftStage, policy: Policy, *, name: str, out: Path, seed: int) -> Any:
    from trl import SFTConfig

    model = policy.model
    return SFTConfig(
        **arguments(
            stage,
            model,
            out,
            seed,
            name=name,
            in_bf16=_in_bf16(model),
            looking=stage.eval_steps is not None,
        ),
        max_length=None,  # rows are cut, and the cuts counted, before they come here
        load_best_model_at_end=bool(stage.early_stopping_patience),
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        restore_callback_states_from_checkpoint=bool(stage.early_stopping_patience),
        dataset_kwargs={"skip_prepare_dataset": True},
    )


def _in_bf16(model: Any) -> bool:
    """Whether to train under autocast: on a GPU, where the model is in bfloat16. On a CPU an
    adapter is trained as it is, and a whole model becomes float32: its steps would be lost."""
    import torch

    if model.device.type == "cpu":
        return not hasattr(model, "peft_config") and for_training(model)
    return bool(model.dtype == torch.bfloat16)


def _add_stops(trainer: Any, stage: SftStage, out: Path, hooks: Hooks) -> None:
    from transformers import EarlyStoppingCallback

    from tesuji.learners.trainer.callbacks import StopWhen

    if stage.early_stopping_patience:
        trainer.add_callback(EarlyStoppingCallback(stage.early_stopping_patience))
    if hooks.stop_when is not None:
        trainer.add_callback(StopWhen(hooks.stop_when, stage.stop_check_steps, out / STOPPED))
