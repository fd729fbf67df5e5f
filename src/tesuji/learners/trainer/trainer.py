"""What SFT, DPO and the reward model share on transformers' Trainer: its arguments, callbacks,
checkpoints that go on after a kill, and how training ends.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tesuji.core.checksums import is_whole, set_aside_damaged
from tesuji.core.errors import DataError, EngineError
from tesuji.core.files import discard, read_json
from tesuji.core.metric_log import MetricLog, TextLog
from tesuji.learners.distributed import is_main, is_sharded, wait
from tesuji.learners.fsdp import fsdp_in_use
from tesuji.learners.hooks import Hooks
from tesuji.learners.model.memory import telling_memory
from tesuji.learners.zero import in_use, trainer_options
from tesuji.recipe.schema.pairs import PairTraining
from tesuji.recipe.schema.stages import SftStage
from tesuji.recipe.schema.training import Training

STOPPED = "stopped.json"
BY_NAME = "optimizer_by_name.safetensors"  # the optimizer's state where it is parted
SAME = (  # keys of a stage that transformers calls so, too
    "max_steps", "gradient_accumulation_steps", "lr_scheduler_type",
    "warmup_steps", "weight_decay", "max_grad_norm", "logging_steps", "save_steps",
    "save_total_limit", "eval_steps",
)  # fmt: skip


def arguments(
    stage: SftStage | PairTraining,
    model: Any,
    out: Path,
    seed: int,
    *,
    name: str,
    in_bf16: bool,
    looking: bool,
) -> dict[str, Any]:
    """The TrainingArguments that every stage sets alike, on the model's device. `looking`: at
    held-out rows, every `eval_steps`; `in_bf16`: under autocast."""
    on_gpu, engine = model.device.type != "cpu", trainer_options()
    return {
        **{key: getattr(stage, key) for key in SAME},
        **dict(zip(("adam_beta1", "adam_beta2"), stage.adam_betas(), strict=True)),
        "learning_rate": stage.peak_rate,
        "output_dir": str(out / "checkpoints"),
        "num_train_epochs": stage.epochs,
        "per_device_train_batch_size": stage.batch_size,
        "per_device_eval_batch_size": stage.batch_size,
        "lr_scheduler_kwargs": _schedule_options(stage, name),
        "activation_checkpointing": stage.gradient_checkpointing,
        "bf16": in_bf16 and (on_gpu or not engine),  # on CPUs transformers refuses both at once
        "fp16": False,
        "use_cpu": not on_gpu,
        "include_num_input_tokens_seen": "non_padding",
        "save_strategy": "steps",
        "save_only_model": is_sharded(model),  # ShardedStates does the rest
        "eval_strategy": "steps" if looking else "no",
        "seed": seed,
        "data_seed": seed,
        "report_to": "none",
        "disable_tqdm": True,
        "log_level_replica": "error",
        "remove_unused_columns": False,
        "dataloader_pin_memory": on_gpu,
        **engine,
    }


def _schedule_options(stage: SftStage | PairTraining, name: str) -> dict[str, Any]:
    """`warmup_stable_decay` needs to know its last part; a fifth of the steps is customary."""
    if stage.lr_scheduler_type != "warmup_stable_decay":
        return {}
    if stage.max_steps < 0:
        raise EngineError(
            "warmup_stable_decay needs to know how many steps there are",
            where=f"stages.{name}.max_steps",
            hint="set max_steps",
        )
    return {"num_decay_steps": max(1, stage.max_steps // 5)}


def for_training(model: Any) -> bool:
    """Whether to train under bfloat16 autocast. A whole model in bfloat16 becomes float32 for that:
    steps of 1e-6 would be lost in bfloat16. (On a GPU, SFT leaves it as it is: larger steps.)"""
    import torch

    if model.dtype != torch.bfloat16:
        return False
    if not hasattr(model, "peft_config"):
        model.float()
    return True


def optimizer(stage: Training, model: Any) -> Any:
    """The stage's optimizer; None for transformers' own AdamW."""
    from tesuji.learners.trainer.muon import muon

    return muon(stage, model) if stage.optimizer == "muon" else None


def _listen(trainer: Any, name: str, out: Path, metrics: MetricLog, hooks: Hooks) -> None:
    from transformers import PrinterCallback

    from tesuji.learners.trainer.callbacks import LogMetrics, Seal, ShowProgress

    trainer.remove_callback(PrinterCallback)
    if is_main():
        trainer.add_callback(LogMetrics(name, metrics, TextLog(out, name)))
        trainer.add_callback(ShowProgress(hooks.on_step))
    trainer.add_callback(Seal())


def run(trainer: Any, name: str, out: Path, metrics: MetricLog, hooks: Hooks) -> float:
    """Train to the end, from the newest sound checkpoint in `out/checkpoints` if there is one;
    return the seconds it took. What is logged goes to our logs, not to the screen; `hooks` hear of
    every step, and of damaged checkpoints.

    Raises EngineError when memory runs out.
    """
    _listen(trainer, name, out, metrics, hooks)
    checkpoint = sound_checkpoint(out, hooks.say)
    _refuse_other_kind(checkpoint)
    metrics.forget_after(name, step_of(checkpoint))
    started = time.monotonic()
    if checkpoint is not None and _is_last(checkpoint, out):
        _take_over(trainer, checkpoint)
    else:
        _train(trainer, name, checkpoint)
    return time.monotonic() - started


def sound_checkpoint(out: Path, say: Callable[[str], None]) -> Path | None:
    """The newest checkpoint in `out/checkpoints` to go on from, if any, once those that are damaged
    are set aside."""
    folder = out / "checkpoints"
    if is_main():
        set_aside_damaged(_newest_first(folder), say)
        _drop_half_removed(folder, step_of(newest_checkpoint(folder)))
    wait()
    return newest_checkpoint(folder)


def _refuse_other_kind(checkpoint: Path | None) -> None:
    """A Trainer's own file of the optimizer's state is of one that has all of it. Raises
    DataError."""
    in_parts = fsdp_in_use() or in_use() is not None
    if checkpoint is not None and in_parts and not (checkpoint / BY_NAME).exists():
        raise DataError(
            "a checkpoint of a process that had the whole optimizer, and this run has it in parts",
            where=str(checkpoint),
            hint="go on with the `distributed` it was made with, or delete the stage's folder",
        )


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint (of its files, transformers writes `trainer_state.json` last), or
    None."""
    return next(iter(_newest_first(folder)), None)


def _drop_half_removed(folder: Path, newest: int) -> None:
    """Remove older checkpoints that a kill left half-removed: transformers goes by the times of
    folders, and would keep them in the place of whole ones."""
    for old in folder.glob("checkpoint-*"):
        whole = is_whole(old) and _is_whole(old / "trainer_state.json")
        if step_of(old) < newest and not whole:
            discard(old)


def _newest_first(folder: Path) -> list[Path]:
    states = folder.glob("checkpoint-*/trainer_state.json")
    return sorted((s.parent for s in states if _is_whole(s)), key=step_of, reverse=True)


def _is_whole(state: Path) -> bool:
    try:
        return isinstance(read_json(state), dict)
    except DataError:
        return False


def step_of(checkpoint: Path | None) -> int:
    """The step a checkpoint was written at; 0 for none."""
    return int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0


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


def _train(trainer: Any, name: str, checkpoint: Path | None) -> None:
    hint = (
        "lower batch_size and raise gradient_accumulation_steps by as much, "
        "set gradient_checkpointing: true, or add a `model.lora:` section"
    )
    with telling_memory("during training", where=f"stages.{name}.batch_size", hint=hint):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)


def refuse_nan(loss: Any, steps: int, name: str) -> None:
    """Stop before the step that would spoil the weights, and so before any checkpoint.

    Raises EngineError when `loss` is not finite after `steps` steps.
    """
    import torch

    if not torch.isfinite(loss):
        raise EngineError(
            f"the loss is not a number after {steps} steps",
            where=f"stages.{name}.learning_rate",
            hint="lower learning_rate or add warmup_steps; the last checkpoint is kept",
        )


def why_stopped(trainer: Any, out: Path) -> str:
    """Why training ended, in words."""
    step = trainer.state.global_step
    if _stopped_at(out) == step:
        return f"the certificate held at step {step}"
    if step < trainer.state.max_steps:
        return "the held-out loss stopped improving"
    return "all steps done"
