"""Supervised fine-tuning on TRL's SFTTrainer: completion-only loss, resume, early stopping.

What it simplifies: no packing (game rows are short), one data set, one process group as
Accelerate sets it up. Rows are tokenised here, by the same code as the sampler's prompts.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tesuji.core.errors import DataError, EngineError
from tesuji.core.files import read_json, write_json
from tesuji.core.metrics import MetricLog
from tesuji.core.textlog import TextLog
from tesuji.core.types import Example
from tesuji.learners.models import Policy, count_parameters
from tesuji.learners.tokens import Tokenized, tokenize
from tesuji.recipe.sections import PromptSection
from tesuji.recipe.stages import SftStage

STOPPED = "stopped.json"


@dataclass(frozen=True, slots=True)
class TrainingSummary:
    """What a training stage did; written to `training.json`. Seconds are of training alone."""

    steps: int
    seconds: float
    rows: int
    rows_cut: int
    rows_dropped: int
    tokens: int
    parameters: int
    trainable_parameters: int
    stopped_because: str
    device: str


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the caller wants to hear and decide while training runs.

    `on_step(step, total, loss)`; `stop_when(step)` is asked every `stop_check_steps`.
    """

    on_step: Callable[[int, int, float | None], None] = lambda step, total, loss: None
    stop_when: Callable[[int], bool] | None = None


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
) -> TrainingSummary:
    """Train `policy.model` in place and save it to `out/final`.

    Picks up at the newest checkpoint in `out/checkpoints`, if there is one. Raises DataError for
    rows that cannot be trained on, EngineError when training fails.
    """
    hooks = hooks or Hooks()
    rows = _tokenized(train, policy, stage, prompt)
    looks = _tokenized(held_out, policy, stage, prompt) if held_out and stage.eval_steps else None
    trainer = _trainer(stage, policy, rows, looks, out, seed)
    _add_callbacks(trainer, stage, name, out, metrics, hooks)
    checkpoint = newest_checkpoint(out / "checkpoints")
    metrics.forget_after(name, _step_of(checkpoint))
    started = time.monotonic()
    if checkpoint is not None and _is_last(checkpoint, out):
        _take_over(trainer, checkpoint)
    else:
        _run(trainer, checkpoint)
    seconds = time.monotonic() - started
    _save(policy, out / "final")
    every, trainable = count_parameters(policy.model)
    summary = TrainingSummary(
        steps=trainer.state.global_step,
        seconds=round(seconds, 2),
        rows=len(rows.rows),
        rows_cut=rows.cut,
        rows_dropped=rows.dropped,
        tokens=rows.tokens,
        parameters=every,
        trainable_parameters=trainable,
        stopped_because=_reason(trainer, out),
        device=str(policy.model.device),
    )
    write_json(out / "training.json", {k: getattr(summary, k) for k in summary.__slots__})
    return summary


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint (`trainer_state.json` is written last), or None."""
    states = folder.glob("checkpoint-*/trainer_state.json")
    return max((s.parent for s in states if _is_whole(s)), key=_step_of, default=None)


def _is_whole(state: Path) -> bool:
    try:
        return isinstance(read_json(state), dict)
    except DataError:
        return False


def _step_of(checkpoint: Path | None) -> int:
    return int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0


def _tokenized(
    examples: Sequence[Example], policy: Policy, stage: SftStage, prompt: PromptSection
) -> Tokenized:
    return tokenize(
        examples,
        policy.tokenizer,
        max_length=stage.max_length,
        enable_thinking=prompt.enable_thinking,
        soft_targets=stage.soft_targets,
    )


def _trainer(
    stage: SftStage,
    policy: Policy,
    rows: Tokenized,
    looks: Tokenized | None,
    out: Path,
    seed: int,
) -> Any:
    from datasets import Dataset

    from tesuji.learners.soft import SoftCollator, SoftTargetTrainer, to_columns

    def dataset(tokenized: Tokenized) -> Any:
        return Dataset.from_list([to_columns(row) for row in tokenized.rows])

    trainer = SoftTargetTrainer(
        model=policy.model,
        args=_arguments(stage, policy, out, seed),
        train_dataset=dataset(rows),
        eval_dataset=dataset(looks) if looks else None,
        processing_class=policy.tokenizer,
        data_collator=SoftCollator(policy.tokenizer.pad_token_id),
        optimizers=(_optimizer(stage, policy.model), None),
    )
    trainer.remove_callback(_printer())
    return trainer


def _arguments(stage: SftStage, policy: Policy, out: Path, seed: int) -> Any:
    import torch
    from trl import SFTConfig

    on_gpu = policy.model.device.type != "cpu"
    looking = stage.eval_steps is not None
    return SFTConfig(
        output_dir=str(out / "checkpoints"),
        num_train_epochs=stage.epochs,
        max_steps=stage.max_steps,
        per_device_train_batch_size=stage.batch_size,
        per_device_eval_batch_size=stage.batch_size,
        gradient_accumulation_steps=stage.gradient_accumulation_steps,
        learning_rate=stage.learning_rate,
        lr_scheduler_type=stage.lr_scheduler_type,
        lr_scheduler_kwargs=_schedule_options(stage),
        warmup_steps=stage.warmup_steps,
        weight_decay=stage.weight_decay,
        max_grad_norm=stage.max_grad_norm,
        max_length=None,  # rows are cut, and the cuts counted, before they come here
        activation_checkpointing=stage.gradient_checkpointing,
        bf16=on_gpu and policy.model.dtype == torch.bfloat16,
        fp16=False,
        use_cpu=not on_gpu,
        logging_steps=stage.logging_steps,
        include_num_input_tokens_seen="non_padding",
        save_strategy="steps",
        save_steps=stage.save_steps,
        save_total_limit=stage.save_total_limit,
        eval_strategy="steps" if looking else "no",
        eval_steps=stage.eval_steps,
        load_best_model_at_end=bool(stage.early_stopping_patience),
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        restore_callback_states_from_checkpoint=bool(stage.early_stopping_patience),
        seed=seed,
        data_seed=seed,
        report_to="none",
        disable_tqdm=True,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        dataloader_pin_memory=on_gpu,
    )


def _schedule_options(stage: SftStage) -> dict[str, Any]:
    """`warmup_stable_decay` needs to know its last part; a fifth of the steps is customary."""
    if stage.lr_scheduler_type != "warmup_stable_decay":
        return {}
    if stage.max_steps < 0:
        raise EngineError(
            "warmup_stable_decay needs to know how many steps there are",
            where="stages.sft.max_steps",
            hint="set max_steps",
        )
    return {"num_decay_steps": max(1, stage.max_steps // 5)}


def _optimizer(stage: SftStage, model: Any) -> Any:
    if stage.optimizer == "adamw":
        return None
    from tesuji.learners.optim import MuonWithAdamW, split_parameters

    return MuonWithAdamW(
        *split_parameters(model),
        lr=stage.learning_rate,
        adamw_lr=stage.adamw_learning_rate or stage.learning_rate,
        weight_decay=stage.weight_decay,
    )


def _printer() -> Any:
    from transformers import PrinterCallback

    return PrinterCallback


def _add_callbacks(
    trainer: Any, stage: SftStage, name: str, out: Path, metrics: MetricLog, hooks: Hooks
) -> None:
    from transformers import EarlyStoppingCallback

    from tesuji.learners.callbacks import LogMetrics, ShowProgress, StopWhen

    trainer.add_callback(LogMetrics(name, metrics, TextLog(out, name)))
    trainer.add_callback(ShowProgress(hooks.on_step))
    if stage.early_stopping_patience:
        trainer.add_callback(EarlyStoppingCallback(stage.early_stopping_patience))
    if hooks.stop_when is not None:
        mark = out / STOPPED
        trainer.add_callback(StopWhen(hooks.stop_when, stage.stop_check_steps, mark))


def _is_last(checkpoint: Path, out: Path) -> bool:
    """Whether training had ended with this checkpoint, and only the process died after it."""
    state = read_json(checkpoint / "trainer_state.json")
    return state["global_step"] in (state["max_steps"], _stopped_at(out))


def _stopped_at(out: Path) -> int | None:
    """The step at which `stop_when` was answered yes, if it was."""
    mark = out / STOPPED
    return int(read_json(mark)["step"]) if mark.exists() else None


def _take_over(trainer: Any, checkpoint: Path) -> None:
    """Weights and state of a finished training; transformers would train one step too many."""
    from transformers import TrainerState

    trainer._load_from_checkpoint(str(checkpoint))
    trainer.state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))


def _run(trainer: Any, checkpoint: Path | None) -> None:
    import torch

    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except torch.OutOfMemoryError as error:
        raise EngineError(
            "out of memory during training",
            where="stages.sft.batch_size",
            hint="lower batch_size and raise gradient_accumulation_steps by as much, "
            "set gradient_checkpointing: true, or add a `model.lora:` section",
        ) from error


def _save(policy: Policy, folder: Path) -> None:
    policy.model.save_pretrained(folder)
    policy.tokenizer.save_pretrained(folder)


def _reason(trainer: Any, out: Path) -> str:
    step = trainer.state.global_step
    if _stopped_at(out) == step:
        return f"the certificate held at step {step}"
    if step < trainer.state.max_steps:
        return "the held-out loss stopped improving"
    return "all steps done"
