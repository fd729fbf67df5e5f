"""The critic's unit, and what it says of the time after a turn."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_recipes import recipe_of
from made_traces import made_traces, policy

from tesuji.core.types import Segment, Trace
from tesuji.learners.rl.advantages import RoleBaseline, returns_after
from tesuji.learners.rl.estimators import ESTIMATORS, Evidence
from tesuji.learners.rl.token_layout import flatten
from tesuji.learners.rl.update.build import build_learner
from tesuji.learners.rl.update.learn import (
    estimate_advantages,
    loss_inputs,
    new_unit,
    score_rollout,
    update,
)
from tesuji.learners.rl.update.loss import LossOptions, TokenData, token_loss
from tesuji.learners.rl.update.optimizer_step import Learner, score
from tesuji.learners.rl.update.return_scale import ReturnScale
from tesuji.pipeline.run import run_recipe
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import PpoStage


def logged(weight: float, root: Path) -> list[dict[str, float]]:
    recipe = recipe_of("ppo", max_steps=5, batch_size=16, rewards={"returns": weight})
    plain = recipe.model_dump(mode="json")
    plain["sampling"]["legal_only"] = True  # or every match is lost at once
    recipe = Recipe.model_validate(plain)
    folder = run_recipe(recipe, root).folder
    rows = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [row for row in rows if row["stage"] == "rl"]


def test_a_game_that_pays_twenty_times_as_much_is_learned_at_the_same_pace(
    tmp_path: Path,
) -> None:
    once, often = (logged(weight, tmp_path / str(weight)) for weight in (1.0, 20.0))
    for one, other in zip(once, often, strict=True):
        assert other["reward"] == pytest.approx(20 * one["reward"])
        for name in ("value_loss", "explained_variance", "grad_norm", "approx_kl"):
            assert other[name] == pytest.approx(one[name], rel=0.02, abs=1e-4), name
    assert all(row["value_loss"] > 0.1 for row in once)


def test_the_head_says_the_same_in_a_new_unit() -> None:
    scale, head, hidden = ReturnScale(), torch.nn.Linear(4, 1), torch.randn(3, 4)
    said = scale.unit * head(hidden)
    units = []
    for returns in ([0.0, 0.0], [3.0, -4.0], [], [100.0], [-0.5]):
        squares = sum(value * value for value in returns)
        scale.observe((float(len(returns)), sum(returns), squares), head)
        units.append(scale.unit)
        assert torch.allclose(scale.unit * head(hidden), said, rtol=1e-5)
    assert units[0] == 1.0, "nothing was earned yet"
    weights = 0.95 * 0.05, 0.05
    mean_square = weights[1] * 12.5 / (weights[0] / 0.95 * 0.95 + weights[1])
    assert units[1] == pytest.approx(mean_square**0.5)
    again = ReturnScale()
    again.load_state_dict(json.loads(json.dumps(scale.state_dict())))
    assert again.unit == scale.unit


def chain(turns: int, *, reward: float = 1.0, truncated: bool = False, start: int = 0) -> Trace:
    """A conversation of one-token turns that is read on: what is known when turn k ends does not
    depend on how many follow."""
    ids = [start + k for k in range(2 * turns)]
    numbers = [n for k in range(turns) for n in (-1, k)]
    logprobs = tuple(-1.0 if turn >= 0 else 0.0 for turn in numbers)
    segment = Segment(tuple(ids), tuple(numbers), logprobs)
    earned = (0.0,) * (turns - 1) + (reward,)
    group = f"{turns} {truncated}"
    return Trace((segment,), earned, "g", 0, "x", group, "random", truncated=truncated)


def learner_of(stage: PpoStage) -> Learner:
    learner = build_learner(stage, policy(), temperature=1.0)
    torch.manual_seed(3)
    assert learner.module.value_head is not None
    torch.nn.init.normal_(learner.module.value_head.weight)
    return learner


@pytest.mark.parametrize("share", [True, False])
def test_the_value_after_a_token_is_the_one_before_the_next(share: bool) -> None:
    learner = learner_of(PpoStage(share_prompts=share))
    flat = flatten(made_traces())
    _, before, after = score(learner, flat)
    assert before is not None and after is not None
    followed = [
        (flat.first[number] + place, flat.first[number] + place + 1)
        for number, segment in enumerate(flat.segments)
        for place in range(sum(turn >= 0 for turn in segment.turns) - 1)
        if _adjacent(segment, place)
    ]
    assert len(followed) > 20
    for here, there in followed:
        assert after[here] == pytest.approx(before[there], abs=1e-5)


def _adjacent(segment: Segment, place: int) -> bool:
    """Whether the next trained token stands right behind this one."""
    places = [at for at, turn in enumerate(segment.turns) if turn >= 0]
    return places[place + 1] == places[place] + 1


def test_what_comes_after_a_turn_is_what_the_next_one_still_earns() -> None:
    returns, turns = np.array([4.0, 5.0, 6.0, 7.0]), np.array([0, 0, 2, 3])
    after = returns_after(returns, turns, 0.5)
    assert np.isnan(after[[0, 3]]).all()
    assert after[[1, 2]].tolist() == [3.0, 3.5]
    assert returns_after(np.zeros(0), np.zeros(0, dtype=np.int64), 0.5).tolist() == []


def test_a_match_that_was_cut_off_bootstraps_from_the_value_after_its_last_token() -> None:
    flat = flatten([chain(2), chain(2, reward=0.5, truncated=True)])
    values, after = np.zeros(4), np.array([9.0, 9.0, 9.0, 0.25])
    stage = PpoStage(gae_lambda=1.0)
    found = ESTIMATORS[PpoStage](stage, flat, Evidence(values, after=after), RoleBaseline())
    assert found.returns is not None
    assert found.returns.tolist() == pytest.approx([1.0, 1.0, 0.75, 0.75])


def test_the_loss_of_a_turns_last_token_has_the_value_after_it_too() -> None:
    zero, nan = torch.zeros(2), float("nan")
    target = torch.tensor([2.0, nan])
    data = TokenData(zero, zero, zero, None, zero, zero, after=zero, after_returns=target)
    after = torch.tensor([0.5, 7.0], requires_grad=True)
    options = LossOptions(vf_coef=0.5)
    loss = token_loss(zero, data, options, entropy=zero, values=zero, after=after).loss
    assert loss.tolist() == [0.5 * 0.5 * 1.5**2, 0.0]
    (gradient,) = torch.autograd.grad(loss.sum(), after)
    assert gradient.tolist() == [0.5 * -1.5, 0.0], "also where no target is known"


def test_the_value_after_a_turn_learns_what_is_still_earned() -> None:
    stage = PpoStage(
        max_steps=300, learning_rate=1e-9, value_learning_rate=0.03, clip_range_vf=None
    )
    learner = learner_of(stage)
    whole = [chain(3), chain(3, reward=-1.0, start=100)]
    flat = flatten(whole)
    for number in range(1, 251):
        scores = score_rollout(stage, learner, None, flat)
        estimate, _ = estimate_advantages(stage, flat, scores, 0.0, RoleBaseline())
        unit = new_unit(learner, estimate)
        tokens = loss_inputs(stage, flat, scores, estimate, torch.device("cpu"), unit)
        update(stage, learner, flat, tokens, recipe=recipe_of(), number=number, beta=0.0)
    cut = flatten([replace(chain(2), truncated=True), replace(chain(2, start=100), truncated=True)])
    _, _, after = score(learner, cut)
    assert after is not None
    assert after[[1, 3]] == pytest.approx([1.0, -1.0], abs=0.1)
