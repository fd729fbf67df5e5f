"""A step has the same gradient whatever the micro-batch, also where memory ran out on the way."""

import pytest
import torch
from made_traces import (
    STAGES,
    assert_same,
    gradient_of_step,
    gradients,
    learner_of,
    made_traces,
    policy,
    tokens_of,
)

from tesuji.core.errors import EngineError
from tesuji.learners.rl.token_layout import flatten
from tesuji.learners.rl.update.build import build_learner, loss_options
from tesuji.learners.rl.update.optimizer_step import Learner, rows_of, step
from tesuji.recipe.schema.rl import GrpoStage


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
@pytest.mark.parametrize("changes", [{"micro_batch_tokens": 64}, {"share_prompts": False}])
def test_the_gradient_does_not_depend_on_the_micro_batch(stage, changes) -> None:
    plain, _ = gradient_of_step(stage)
    other, _ = gradient_of_step(stage, **changes)
    assert_same(plain, other)


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_bfloat16_has_the_figures_of_float32(stage) -> None:
    """Also where most tokens are out of the question: what they add to the entropy is 0."""
    flat, figures = flatten(made_traces()), []
    for dtype in (torch.float32, torch.bfloat16):
        learner = build_learner(stage, policy(dtype=dtype), temperature=0.7)
        assert learner.in_bf16 == (dtype == torch.bfloat16)
        options = loss_options(stage, 9, 0.0)
        figures.append(step(learner, rows_of(learner, flat), tokens_of(flat), flat.tokens, options))
    assert figures[1] == pytest.approx(figures[0], rel=0.05, abs=0.05)


def run_out_of_memory(learner: Learner, most: int) -> None:
    forward = learner.module.forward

    def scarce(batch):
        if batch.ids.numel() > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return forward(batch)

    learner.module.forward = scarce
    learner.optimizer.zero_grad = lambda set_to_none=True: learner.module.zero_grad()


def test_out_of_memory_halves_the_micro_batch_and_keeps_the_gradient() -> None:
    stage = GrpoStage()
    plain, _ = gradient_of_step(stage)
    flat, learner = flatten(made_traces()), learner_of(stage)
    run_out_of_memory(learner, most=80)
    kept = {}
    learner.optimizer.step = lambda: kept.update(gradients(learner.module))
    options = loss_options(stage, 9, 0.0)
    step(learner, rows_of(learner, flat), tokens_of(flat), flat.tokens, options)
    assert_same(plain, kept)
    assert len(learner.notices) >= 1
    assert "out of memory: going on with" in learner.notices[-1]
    assert learner.micro_batch_tokens <= 80
    learner.notices.clear()
    step(learner, rows_of(learner, flat), tokens_of(flat), flat.tokens, options)
    assert not learner.notices, "said once"


def test_memory_that_runs_out_halfway_leaves_no_gradient_behind() -> None:
    stage = GrpoStage()
    plain, _ = gradient_of_step(stage)
    flat, learner = flatten(made_traces()), learner_of(stage)
    learner.micro_batch_tokens = 60
    forward, passes, kept = learner.module.forward, [], {}

    def scarce(batch):
        passes.append(batch)
        if len(passes) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return forward(batch)

    learner.module.forward = scarce
    learner.optimizer.zero_grad = lambda set_to_none=True: learner.module.zero_grad()
    learner.optimizer.step = lambda: kept.update(gradients(learner.module))
    options = loss_options(stage, 9, 0.0)
    step(learner, rows_of(learner, flat), tokens_of(flat), flat.tokens, options)
    assert_same(plain, kept)
    assert len(learner.notices) == 1
    assert len(passes) > 4


def test_a_row_that_does_not_fit_by_itself_is_one_clear_message() -> None:
    stage = GrpoStage()
    flat, learner = flatten(made_traces()), learner_of(stage)
    run_out_of_memory(learner, most=3)
    with pytest.raises(EngineError, match="out of memory in the update") as caught:
        step(
            learner, rows_of(learner, flat), tokens_of(flat), flat.tokens, loss_options(stage, 9, 0)
        )
    assert "gradient_checkpointing" in str(caught.value)


def test_a_loss_that_is_not_a_number_leaves_the_weights_alone() -> None:
    stage = GrpoStage(learning_rate=1.0)
    learner = build_learner(stage, policy(), temperature=1.0)
    before = {n: p.detach().clone() for n, p in learner.module.named_parameters()}
    flat = flatten(made_traces())
    tokens = tokens_of(flat)
    tokens.data.advantages[3] = torch.nan
    with pytest.raises(EngineError, match="the loss is not a number"):
        step(learner, rows_of(learner, flat), tokens, flat.tokens, loss_options(stage, 9, 0.0))
    assert all(torch.equal(p, before[n]) for n, p in learner.module.named_parameters())
