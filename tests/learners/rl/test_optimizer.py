"""The optimizer as the recipe describes it, and a learning rate that ends as its schedule does."""

import json
from pathlib import Path
from typing import Any

import pytest
from made_recipes import recipe_of
from made_traces import made_traces, policy, tokens_of

from tesuji.learners.rl.token_layout import flatten
from tesuji.learners.rl.update.build import build_learner
from tesuji.learners.rl.update.learn import update
from tesuji.learners.trainer.trainer import arguments
from tesuji.pipeline.run import run_recipe
from tesuji.recipe.schema.rl import GrpoStage, PpoStage
from tesuji.recipe.schema.stages import SftStage


def rates_of(stage: GrpoStage, numbers: list[int]) -> tuple[list[float], float]:
    """The learning rate of every optimizer step in these rollouts of five groups, and the one that
    stands after them."""
    learner, flat = build_learner(stage, policy(), temperature=1.0), flatten(made_traces())
    rates: list[float] = []
    take = learner.optimizer.step
    group = learner.optimizer.param_groups[0]
    learner.optimizer.step = lambda: (rates.append(group["lr"]), take())
    for number in numbers:
        update(stage, learner, flat, tokens_of(flat), recipe=recipe_of(), number=number, beta=0.0)
    return rates, group["lr"]


@pytest.mark.parametrize("mini_batches", [1, 3, 5, 16])
@pytest.mark.parametrize("iterations", [1, 2])
def test_a_linear_schedule_ends_at_0_however_many_mini_batches_there_were(
    mini_batches: int, iterations: int
) -> None:
    stage = GrpoStage(
        max_steps=4,
        num_iterations=iterations,
        num_mini_batches=mini_batches,
        learning_rate=0.1,
        lr_scheduler_type="linear",
    )
    rates, last = rates_of(stage, [1, 2, 3, 4])
    steps = 4 * iterations * min(5, mini_batches)
    assert rates == pytest.approx([0.1 * (1 - taken / steps) for taken in range(steps)])
    assert last == 0.0


def test_a_rollout_without_anything_to_learn_is_not_made_up_for() -> None:
    stage = GrpoStage(max_steps=4, learning_rate=0.1, lr_scheduler_type="linear")
    rates, last = rates_of(stage, [1, 4])  # nothing was learned in rollouts 2 and 3
    assert rates == pytest.approx([0.1, 0.025])
    assert last == 0.0


@pytest.mark.parametrize("warmup", [8, 0.25])
def test_the_warm_up_is_counted_in_the_same_steps(warmup: float) -> None:
    stage = GrpoStage(
        max_steps=8,
        num_mini_batches=4,
        learning_rate=0.1,
        lr_scheduler_type="warmup_stable_decay",
        warmup_steps=warmup,
    )
    rates, last = rates_of(stage, list(range(1, 9)))
    assert rates[:8] == pytest.approx([0.1 * step / 8 for step in range(8)])
    assert rates[8:26] == pytest.approx([0.1] * 18)
    assert last == pytest.approx(0.0)


def test_a_run_with_fewer_groups_than_mini_batches_logs_the_end_of_its_schedule(
    tmp_path: Path,
) -> None:
    recipe = recipe_of(
        max_steps=4, num_mini_batches=8, learning_rate=0.01, lr_scheduler_type="linear"
    )
    outcome = run_recipe(recipe, tmp_path)  # 8 matches in 2 groups
    lines = (outcome.folder / "metrics.jsonl").read_text().splitlines()
    rates = [row["learning_rate"] for row in map(json.loads, lines) if row["stage"] == "rl"]
    assert rates == pytest.approx([0.0075, 0.005, 0.0025, 0.0])


BETAS: list[tuple[dict[str, Any], tuple[float, float]]] = [
    ({}, (0.9, 0.999)),
    ({"betas": [0.0, 0.98]}, (0.0, 0.98)),
    ({"optimizer": "muon"}, (0.9, 0.95)),
    ({"optimizer": "muon", "betas": [0.5, 0.9]}, (0.5, 0.9)),
]


@pytest.mark.parametrize(("keys", "expected"), BETAS)
def test_adamw_has_the_recipes_betas(keys: dict[str, Any], expected: tuple[float, float]) -> None:
    stage = PpoStage.model_validate(keys)
    optimizer = build_learner(stage, policy(), temperature=1.0).optimizer
    found = [group["betas"] for group in optimizer.param_groups if "betas" in group]
    assert found == [expected, expected], "the policy's, and the value head's"


def test_transformers_trainers_have_them_too(tmp_path: Path) -> None:
    for keys, expected in BETAS[:2]:
        stage = SftStage.model_validate(keys)
        made = arguments(
            stage, policy().model, tmp_path, 1, name="sft", in_bf16=False, looking=False
        )
        assert (made["adam_beta1"], made["adam_beta2"]) == expected


def test_an_entropy_bonus_that_begins_at_0_has_a_gradient_later() -> None:
    rising = GrpoStage(entropy_coef=0.0, entropy_coef_final=0.1)
    assert build_learner(rising, policy(), temperature=1.0).module.entropy_grad
