"""Direct preference optimisation (Rafailov et al. 2023) on TRL's DPOTrainer.

The reference is the model the stage begins with: for a whole model a frozen copy of it. For an
adapter it is a frozen copy of the *adapter*, under the name "ref" on the same base weights, which
TRL makes itself of a model that comes with one. Switching the adapter off, as is done for a fresh
one, would give the base model without its fine-tuning; merging it first would leave `final/` with
an adapter for a base that is in no folder, and cannot be done to 4-bit weights without loss.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tesuji.core.metric_log import MetricLog
from tesuji.core.types import Pair
from tesuji.learners.model.adapter import with_adapter
from tesuji.learners.model.load import Policy
from tesuji.learners.pairs.accuracy import (
    Logprobs,
    Margin,
    Preference,
    judged,
    margin,
    policy_preference,
    policy_verdicts,
)
from tesuji.learners.pairs.logprobs import reply_logprobs
from tesuji.learners.pairs.summary import PairSummary, log_once, summarise
from tesuji.learners.pairs.tokens import PairRow, PairTokens, tokenize_pairs, training_pairs
from tesuji.learners.trainer.trainer import (
    Hooks,
    arguments,
    for_training,
    listen,
    newest_checkpoint,
    optimizer,
    run,
    step_of,
)
from tesuji.recipe.schema.pairs import DpoStage
from tesuji.recipe.schema.sections import LoraSection, PromptSection

REFERENCE = "ref"  # the adapter's name in TRL


def train_dpo(
    stage: DpoStage,
    policy: Policy,
    *,
    name: str,
    train: Sequence[Pair],
    held_out: Sequence[Pair],
    prompt: PromptSection,
    out: Path,
    seed: int,
    metrics: MetricLog,
    hooks: Hooks | None = None,
    lora: LoraSection | None = None,
) -> PairSummary:
    """Train `policy` in place and save it to `out/final`.

    `policy` is the model the stage begins with, also when it goes on from a checkpoint in
    `out/checkpoints`. With `lora`, a whole model gets an adapter first. Raises DataError when no
    pair can be learned from, EngineError when training fails.
    """
    policy = with_adapter(policy, lora) if lora else policy
    dtype = policy.model.dtype
    rows = training_pairs(train, policy.tokenizer, prompt, stage.max_length, name)
    looks = tokenize_pairs(held_out, policy.tokenizer, prompt, stage.max_length)
    begun = reply_logprobs(policy, looks.rows, 4 * stage.batch_size)
    before = policy_preference(looks.rows, begun)
    trainer = _trainer(stage, policy, rows, looks, name=name, out=out, seed=seed)
    listen(trainer, name, out, metrics, hooks or Hooks())
    checkpoint = newest_checkpoint(out / "checkpoints")
    metrics.forget_after(name, step_of(checkpoint))
    log_once(metrics, name, 0, before)
    seconds = run(trainer, name, out, checkpoint)
    _hand_back(policy.model, dtype)
    after, gain = _after(policy, looks.rows, begun, stage)
    log_once(metrics, name, trainer.state.global_step, after)
    policy.model.save_pretrained(out / "final")
    policy.tokenizer.save_pretrained(out / "final")
    return summarise(
        trainer,
        out,
        seconds=seconds,
        rows=rows,
        held_out=looks,
        before=before,
        after=after,
        margin=gain,
    )


def _after(
    policy: Policy, rows: Sequence[PairRow], begun: Logprobs, stage: DpoStage
) -> tuple[Preference, Margin | None]:
    """The policy's preferences now, and the implicit reward beta * (log pi - log pi_ref), whose
    reference part is what was measured at the beginning."""
    ended = reply_logprobs(policy, rows, 4 * stage.batch_size)
    gains = [
        stage.beta * ((now[0] - was[0]) - (now[1] - was[1]))
        for now, was in zip(ended, begun, strict=True)
    ]
    verdicts = policy_verdicts(rows, ended) | {"implicit_reward": [gain > 0 for gain in gains]}
    return judged(rows, verdicts), margin(rows, gains)


def _trainer(
    stage: DpoStage,
    policy: Policy,
    rows: PairTokens,
    looks: PairTokens,
    *,
    name: str,
    out: Path,
    seed: int,
) -> Any:
    from trl import DPOConfig

    from tesuji.learners.pairs.trl_trainers import PairDPOTrainer, dpo_columns

    model, looking = policy.model, bool(looks.rows) and stage.eval_steps is not None
    on_gpu = model.device.type != "cpu"
    in_bf16 = for_training(model)
    shared = arguments(stage, out, seed, name=name, on_gpu=on_gpu, in_bf16=in_bf16, looking=looking)
    trainer = PairDPOTrainer(
        model=model,
        ref_model=_reference(model),
        args=DPOConfig(
            **shared,
            beta=stage.beta,
            loss_type=[stage.loss_type],
            label_smoothing=stage.label_smoothing,
            max_length=None,  # pairs are cut, and the cuts counted, before they come here
        ),
        train_dataset=dpo_columns(rows.rows),
        eval_dataset=dpo_columns(looks.rows) if looking else None,
        processing_class=policy.tokenizer,
        optimizers=(optimizer(stage, model), None),
    )
    trainer.stage_name = name
    return trainer


def _reference(model: Any) -> Any:
    """A frozen copy of a whole model, in the same numbers, so that the first loss is log 2 exactly;
    None for an adapter, which TRL copies."""
    if hasattr(model, "peft_config"):
        return None
    return copy.deepcopy(model).eval().requires_grad_(False)


def _hand_back(model: Any, dtype: Any) -> None:
    """Leave the policy as it came, but for what it learned: no reference, its own number type."""
    if hasattr(model, "peft_config"):
        model.delete_adapter(REFERENCE)
    else:
        model.to(dtype)
