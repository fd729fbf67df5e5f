"""Held-out pairs: training and evaluation read, cut and judge them alike."""

import random
from pathlib import Path

from tesuji.core.metric_log import MetricLog
from tesuji.core.types import Message, Pair
from tesuji.evaluation.held_out.evaluate import evaluate_rows
from tesuji.evaluation.metrics import held_out_metrics
from tesuji.learners.model.load import Policy, load_policy
from tesuji.learners.model.tiny import build_model, build_tokenizer
from tesuji.learners.pairs.dpo import train_dpo
from tesuji.recipe.schema.pairs import DpoStage
from tesuji.recipe.schema.sections import (
    ModelSection,
    PromptSection,
    SamplingSection,
    TinyModel,
)

SHAPE = TinyModel(
    hidden_size=32, num_attention_heads=2, num_key_value_heads=2, intermediate_size=64,
    max_position_embeddings=48,
)  # fmt: skip
PROMPT = PromptSection(max_length=30)
LENGTH = 64  # more than the model can hold


def pair(text: str, chosen: str, rejected: str) -> Pair:
    return Pair((Message(role="user", content=text),), chosen, rejected, about={"role": "Doctor"})


def pairs(count: int, seed: int) -> list[Pair]:
    """Some prompts too long, by themselves or with their replies; some pairs that say nothing."""
    draw = random.Random(seed)
    fine = [
        pair(
            "x" * draw.randrange(45) + "?", "a" * draw.randrange(1, 30), "b" * draw.randrange(1, 30)
        )
        for _ in range(count)
    ]
    return [*fine, pair("?", "a", " a "), pair("?", " ", "b"), pair("?", "a", "b" * 50)]


def test_dpos_last_figure_is_the_evaluations(tmp_path: Path):
    policy, held_out = Policy(build_model(SHAPE, 1), build_tokenizer(), "tiny"), pairs(40, seed=2)
    summary = train_dpo(
        DpoStage(max_length=LENGTH, max_steps=5, batch_size=4, learning_rate=1e-3),
        policy,
        name="dpo",
        train=pairs(20, seed=1),
        held_out=held_out,
        prompt=PROMPT,
        out=tmp_path,
        seed=3,
        metrics=MetricLog(tmp_path),
    )
    score = evaluate_rows(
        load_policy(ModelSection(), str(tmp_path / "final")),
        examples=[],
        pairs=held_out,
        training_labels={},
        prompt=PROMPT,
        sampling=SamplingSection(batch_size=16),
        max_length=4096,
        pair_length=LENGTH,
        limit=0,
        seed=1,
    )
    after = summary.accuracy_after
    assert score.preferences.summed == after.shares["policy_preference"]
    assert score.preferences.per_token == after.shares["policy_preference_per_token"]
    assert score.preferences_by_role["Doctor"].summed == score.preferences.summed
    assert 0 < score.preferences.summed.right < score.preferences.pairs == 40
    logged = [row for row in MetricLog(tmp_path).rows() if "eval_policy_preference" in row]
    figure = held_out_metrics(score)["held_out/preference_accuracy"]
    assert logged[-1]["eval_policy_preference"] == figure
    assert score.pairs_dropped == 3
    assert score.pairs_cut > 0
    assert f"held out: prompts that lost their beginning: {score.pairs_cut}" in summary.warnings
