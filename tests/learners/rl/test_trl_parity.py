"""The same maths as TRL: on one single-turn batch, loss and gradient are `GRPOTrainer`'s.

The trainer is a real one; its `_compute_loss` is given a batch made here, with old log-probs that
differ from the present ones so that the clipping takes hold.
"""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from tesuji.core.types import Segment, Trace
from tesuji.learners.model.load import Policy
from tesuji.learners.model.tiny import build_model, build_tokenizer
from tesuji.learners.rl.token_layout import flatten
from tesuji.learners.rl.update.build import build_learner, loss_options
from tesuji.learners.rl.update.loss import TokenData
from tesuji.learners.rl.update.optimizer_step import Tokens, rows_of, step
from tesuji.recipe.schema.rl import GrpoStage
from tesuji.recipe.schema.sections import TinyModel

SHAPE = TinyModel(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
    intermediate_size=48,
)  # fmt: skip
PROMPTS, REPLIES, LONGEST, TEMPERATURE, PAD = 8, 4, 7, 0.9, 256


def batch() -> list[dict[str, Any]]:
    """Replies with their advantages, old and reference log-probs; lengths differ everywhere."""
    draw = random.Random(6)
    rows = []
    for prompt in range(PROMPTS):
        ids = [draw.randrange(256) for _ in range(draw.randint(5, 20))]
        for _ in range(REPLIES):
            reply = [draw.randrange(256) for _ in range(draw.randint(1, LONGEST))]
            rows.append(
                {"group": prompt, "prompt": ids, "reply": reply, "advantage": draw.gauss(0, 1)}
            )
    return rows


def with_old_logps(rows: list[dict[str, Any]], model: Any) -> None:
    """Present log-probs with noise: ratios around 1, some beyond the clip range."""
    draw = torch.Generator().manual_seed(7)
    for row in rows:
        ids = torch.tensor([row["prompt"] + row["reply"]])
        with torch.no_grad():
            logits = model(input_ids=ids).logits[0, len(row["prompt"]) - 1 : -1] / TEMPERATURE
        now = logits.log_softmax(-1).gather(-1, torch.tensor(row["reply"])[:, None])[:, 0]
        row["old"] = now + 0.3 * torch.randn(len(now), generator=draw)
        row["reference"] = now + 0.3 * torch.randn(len(now), generator=draw)


def padded(lists: list[Any], left: bool, fill: float) -> torch.Tensor:
    width = max(map(len, lists))
    kept = [list(map(float, one)) for one in lists]
    rows = [[fill] * (width - len(k)) + k if left else k + [fill] * (width - len(k)) for k in kept]
    return torch.tensor(rows)


def of_trl(rows: list[dict[str, Any]], out: Path, **options: Any) -> tuple[float, dict[str, Any]]:
    """Loss and gradient by TRL's own code."""
    tokenizer = build_tokenizer()
    config = GRPOConfig(
        output_dir=str(out),
        use_cpu=True,
        bf16=False,
        activation_checkpointing=False,
        per_device_train_batch_size=len(rows),
        num_generations=REPLIES,
        max_completion_length=LONGEST,
        temperature=TEMPERATURE,
        epsilon=0.2,
        epsilon_high=0.28,
        report_to="none",
        **options,
    )
    model = build_model(SHAPE, seed=2)
    model.save_pretrained(out / "reference")  # with KL it loads one, and does not use it here
    model.config._name_or_path = str(out / "reference")
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=config,
        train_dataset=Dataset.from_list([{"prompt": "?"}]),
        processing_class=tokenizer,
    )
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train()
    inputs = {
        "prompt_ids": padded([r["prompt"] for r in rows], True, PAD).long(),
        "prompt_mask": padded([[1] * len(r["prompt"]) for r in rows], True, 0).long(),
        "completion_ids": padded([r["reply"] for r in rows], False, PAD).long(),
        "completion_mask": padded([[1] * len(r["reply"]) for r in rows], False, 0).long(),
        "advantages": torch.tensor([r["advantage"] for r in rows]),
        "old_per_token_logps": padded([r["old"] for r in rows], False, 0),
        "ref_per_token_logps": padded([r["reference"] for r in rows], False, 0),
        "num_items_in_batch": torch.tensor(sum(len(r["reply"]) for r in rows)),
    }
    loss = trainer._compute_loss(trainer.model, inputs)
    loss.backward()
    return float(loss), {n: p.grad for n, p in trainer.model.named_parameters()}


def of_ours(
    rows: list[dict[str, Any]], stage: GrpoStage, norm: float
) -> tuple[float, dict[str, Any]]:
    """Loss and gradient by our update, prompts shared, in micro-batches."""
    model = build_model(SHAPE, seed=2)
    learner = build_learner(stage, Policy(model, build_tokenizer(), ""), temperature=TEMPERATURE)
    learner.micro_batch_tokens, learner.max_grad_norm = 200, 0.0
    learner.optimizer.step = lambda: None
    learner.optimizer.zero_grad = lambda set_to_none=True: None
    flat = flatten([_trace(row) for row in rows])
    old = torch.cat([row["old"] for row in rows])
    lengths = torch.tensor([len(row["reply"]) for row in rows])
    advantages = torch.tensor([row["advantage"] for row in rows]).repeat_interleave(lengths)
    reference = torch.cat([row["reference"] for row in rows]) if stage.beta else None
    weights = torch.ones(flat.tokens)
    if stage.loss_type == "trace":
        weights = (1 / lengths).repeat_interleave(lengths)
    tokens = Tokens(TokenData(advantages, old, old, reference), weights)
    options = loss_options(stage, 1, stage.beta)
    figures = step(learner, rows_of(learner, flat), tokens, norm, options)
    return figures["loss"], {n: p.grad for n, p in model.named_parameters()}


def _trace(row: dict[str, Any]) -> Trace:
    before = len(row["prompt"])
    segment = Segment(
        (*row["prompt"], *row["reply"]),
        (-1,) * before + (0,) * len(row["reply"]),
        (0.0,) * before + tuple(row["old"].tolist()),
    )
    return Trace((segment,), (0.0,), "g", 0, "", str(row["group"]), "")


CASES = {
    "tokens": ({"loss_type": "dapo"}, {}),
    "tokens of the batch": ({"loss_type": "bnpo"}, {}),
    "a reply counts once": ({"loss_type": "grpo"}, {"loss_type": "trace"}),
    "dr_grpo": ({"loss_type": "dr_grpo"}, {"dr_grpo": True}),
    "with KL": (
        {"loss_type": "dapo", "beta": 0.05, "use_bias_correction_kl": True},
        {"beta": 0.05},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradient_are_trls(case: str, tmp_path: Path) -> None:
    theirs, ours = CASES[case]
    rows = batch()
    with_old_logps(rows, build_model(SHAPE, seed=2))
    stage = GrpoStage(dual_clip=None, num_generations=REPLIES, **ours)
    norm = {
        "dr_grpo": float(len(rows) * LONGEST),
        "a reply counts once": float(len(rows)),
    }.get(case, float(sum(len(row["reply"]) for row in rows)))
    expected_loss, expected = of_trl(rows, tmp_path, **{"beta": 0.0, **theirs})
    loss, found = of_ours(rows, stage, norm)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    for name, gradient in expected.items():
        error = (found[name] - gradient).norm() / gradient.norm()
        assert float(error) < 1e-5, (name, float(error))
