"""A reward model on TRL's RewardTrainer: the Bradley-Terry loss on pairs of replies.

Files: `final/` (the model, and `reward.json`: how replies are read and how scores are spread),
`training.json`, `reward_evaluation.json`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tesuji.core.files import write_json
from tesuji.core.metric_log import MetricLog
from tesuji.core.types import Pair
from tesuji.learners.model.load import Policy
from tesuji.learners.pairs.accuracy import margin
from tesuji.learners.pairs.reward_evaluation import reward_evaluation, reward_preference, spread
from tesuji.learners.pairs.summary import PairSummary, log_once, summarise
from tesuji.learners.pairs.tokens import PairRow, PairTokens, tokenize_pairs, training_pairs
from tesuji.learners.reward_model.model import new_reward_model, score_ids
from tesuji.learners.reward_model.scorer import FACTS
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
from tesuji.recipe.schema.pairs import RewardStage
from tesuji.recipe.schema.sections import ModelSection, PromptSection

SPREAD_OVER = 500  # training pairs, where none are held out


def train_reward(
    stage: RewardStage,
    section: ModelSection,
    source: str,
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
    """Train a reward model that begins as the model in `source`, and save it to `out/final`.

    Goes on from the newest checkpoint in `out/checkpoints`. Raises DataError when no pair can be
    learned from, EngineError when loading or training fails.
    """
    policy = new_reward_model(section, source, seed)
    dtype = policy.model.dtype
    rows = training_pairs(train, policy.tokenizer, prompt, stage.max_length, name)
    looks = tokenize_pairs(held_out, policy.tokenizer, prompt, stage.max_length)
    before = reward_preference(looks.rows, _scores(policy, looks.rows, stage))
    trainer = _trainer(stage, policy, rows, looks, name=name, out=out, seed=seed)
    listen(trainer, name, out, metrics, hooks or Hooks())
    checkpoint = newest_checkpoint(out / "checkpoints")
    metrics.forget_after(name, step_of(checkpoint))
    log_once(metrics, name, 0, before)
    seconds = run(trainer, name, out, checkpoint)
    if not hasattr(policy.model, "peft_config"):
        policy.model.to(dtype)
    scores = _scores(policy, looks.rows, stage)
    after = reward_preference(looks.rows, scores)
    log_once(metrics, name, trainer.state.global_step, after)
    if looks.rows:
        write_json(out / "reward_evaluation.json", reward_evaluation(looks.rows, before, scores))
    known = scores or _scores(policy, rows.rows[:SPREAD_OVER], stage)
    _save(policy, out / "final", stage, prompt, known)
    return summarise(
        trainer,
        out,
        seconds=seconds,
        rows=rows,
        held_out=looks,
        before=before,
        after=after,
        margin=margin(looks.rows, [chosen - rejected for chosen, rejected in scores]),
    )


def _trainer(
    stage: RewardStage,
    policy: Policy,
    rows: PairTokens,
    looks: PairTokens,
    *,
    name: str,
    out: Path,
    seed: int,
) -> Any:
    from trl import RewardConfig

    from tesuji.learners.pairs.trl_trainers import PairRewardTrainer, reward_columns

    model, looking = policy.model, bool(looks.rows) and stage.eval_steps is not None
    on_gpu = model.device.type != "cpu"
    in_bf16 = for_training(model)
    shared = arguments(stage, out, seed, name=name, on_gpu=on_gpu, in_bf16=in_bf16, looking=looking)
    trainer = PairRewardTrainer(
        model=model,
        args=RewardConfig(
            **shared,
            disable_dropout=stage.disable_dropout,
            center_rewards_coefficient=stage.center_rewards_coefficient,
            max_length=None,  # pairs are cut, and the cuts counted, before they come here
        ),
        train_dataset=reward_columns(rows.rows),
        eval_dataset=reward_columns(looks.rows) if looking else None,
        processing_class=policy.tokenizer,
        optimizers=(optimizer(stage, model), None),
    )
    trainer.stage_name = name
    return trainer


def _scores(
    policy: Policy, rows: Sequence[PairRow], stage: RewardStage
) -> list[tuple[float, float]]:
    """The (chosen, rejected) scores of each row."""
    sequences = [
        [*row.prompt_ids, *reply] for row in rows for reply in (row.chosen_ids, row.rejected_ids)
    ]
    tokens = 8 * stage.batch_size * stage.max_length
    found = score_ids(policy.model, sequences, policy.tokenizer.pad_token_id, tokens)
    return list(zip(found[::2], found[1::2], strict=True))


def _save(
    policy: Policy,
    folder: Path,
    stage: RewardStage,
    prompt: PromptSection,
    scores: Sequence[tuple[float, float]],
) -> None:
    policy.model.save_pretrained(folder)
    policy.tokenizer.save_pretrained(folder)
    facts: dict[str, float] = {
        "max_length": stage.max_length,
        "enable_thinking": prompt.enable_thinking,
    }
    facts |= spread([score for pair in scores for score in pair])
    write_json(folder / FACTS, facts)
