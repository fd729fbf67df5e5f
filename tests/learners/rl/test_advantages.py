"""Advantages against slow references written from the definitions."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tesuji.core.types import Segment, Trace
from tesuji.learners.rl.advantages import (
    RoleBaseline,
    gae,
    group_advantages,
    leave_one_out,
    moments,
    returns_to_go,
    token_rewards,
    whiten,
)
from tesuji.learners.rl.estimators import ESTIMATORS, Evidence
from tesuji.learners.rl.token_layout import flatten
from tesuji.recipe.schema.rl import GrpoStage, PpoStage, ReinforceStage

NUMBER = st.floats(-3, 3, allow_nan=False)


@st.composite
def traces(draw):
    """(turn of each token, rewards by turn, values)."""
    lengths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=6))
    turns = np.repeat(np.arange(len(lengths)), lengths)
    rewards = draw(st.lists(NUMBER, min_size=len(lengths), max_size=len(lengths)))
    values = draw(st.lists(NUMBER, min_size=len(turns), max_size=len(turns)))
    return turns, np.array(rewards), np.array(values)


def slow_gae(rewards, values, turns, gamma, lam, bootstrap):
    """A_t = sum over l of (product of gamma*lambda between t and t+l) * delta_{t+l}, O(N^2)."""
    count = len(turns)
    earned = [0.0] * count
    for turn, reward in enumerate(rewards):
        earned[max(i for i in range(count) if turns[i] == turn)] += reward

    def step(i):  # what lies between token i and the next
        across = i + 1 < count and turns[i + 1] != turns[i]
        return (gamma, lam) if across else (1.0, 1.0)

    following = [*values[1:], bootstrap]
    deltas = [earned[i] + step(i)[0] * following[i] - values[i] for i in range(count)]
    found = []
    for start in range(count):
        total, weight = 0.0, 1.0
        for later in range(start, count):
            total += weight * deltas[later]
            weight *= step(later)[0] * step(later)[1]
        found.append(total)
    return np.array(found)


@settings(max_examples=150, deadline=None)
@given(traces(), st.floats(0, 1), st.floats(0, 1), NUMBER)
def test_gae_is_the_sum_of_its_definition(trace, gamma, lam, bootstrap):
    turns, rewards, values = trace
    options = {"gamma": gamma, "gae_lambda": lam, "bootstrap": bootstrap}
    advantages, returns = gae(rewards, values, turns, **options)
    expected = slow_gae(rewards, values, turns, gamma, lam, bootstrap)
    assert advantages == pytest.approx(expected, abs=1e-9)
    assert returns == pytest.approx(expected + values, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(traces(), st.floats(0, 1))
def test_returns_to_go_are_discounted_from_turn_to_turn(trace, gamma):
    turns, rewards, _ = trace
    found = returns_to_go(rewards, turns, gamma)
    for token, turn in enumerate(turns):
        expected = sum(
            gamma ** (later - turn) * rewards[later] for later in range(turn, len(rewards))
        )
        assert found[token] == pytest.approx(expected, abs=1e-9)


def talk(between: int) -> Trace:
    """Two turns of two tokens, with so many tokens of others in between."""
    ids = tuple(range(4 + 2 + between + 2))
    turns = (-1,) * 4 + (0, 0) + (-1,) * between + (1, 1)
    segment = Segment(ids, turns, (0.0,) * len(ids))
    return Trace((segment,), (0.0, 1.0), "g", 0, "x", "k", "random")


def test_tokens_of_others_take_no_part():
    found = []
    for between in (0, 200):
        flat = flatten([talk(between)])
        options = {"gamma": 1.0, "gae_lambda": 0.95}
        found.append(gae(flat.traces[0].rewards, np.zeros(4), flat.turns[0], **options)[0])
    assert found[0] == pytest.approx(found[1])
    assert found[0][0] == pytest.approx(0.95), "one step between turns, not two hundred"


def test_a_turn_without_tokens_gives_its_reward_to_a_neighbour():
    turns = np.array([1, 1, 3])
    assert token_rewards([5.0, 1.0, 2.0, 4.0], turns).tolist() == [0.0, 8.0, 4.0]
    assert token_rewards([1.0], np.array([1, 2])).tolist() == [1.0, 0.0], "also beyond its end"


def test_all_tokens_of_a_turn_are_owed_the_same_whatever_came_before_them():
    found = returns_to_go([5.0, 1.0, 2.0], np.array([1, 1, 1, 2]), 0.5)
    assert found.tolist() == [7.0, 7.0, 7.0, 2.0]


@settings(max_examples=100, deadline=None)
@given(st.lists(NUMBER, min_size=1, max_size=8), st.sets(st.integers(0, 7), min_size=1))
def test_no_reward_is_lost_or_doubled_on_its_way_to_the_tokens(rewards, kept):
    turns = np.repeat(sorted(min(turn, len(rewards) - 1) for turn in kept), 2)
    placed = token_rewards(rewards, turns)
    assert placed.sum() == pytest.approx(sum(rewards), abs=1e-9)
    last = np.append(turns[1:] != turns[:-1], True)
    assert not placed[~last].any(), "only the last token of a turn is paid"


def test_a_trace_without_tokens_has_no_advantages():
    none = np.zeros(0, dtype=np.int64)
    advantages, returns = gae([1.0], np.zeros(0), none, gamma=1.0, gae_lambda=1.0, bootstrap=3.0)
    assert len(advantages) == len(returns) == len(returns_to_go([1.0], none, 1.0)) == 0


def test_extra_rewards_are_per_token():
    turns = np.array([0, 0])
    found = returns_to_go([1.0], turns, 1.0, extra=np.array([-0.25, -0.5]))
    assert found.tolist() == [0.25, 0.5]


def grouped(rewards, groups, **options):
    settings_ = {"gamma": 1.0, "credit": "trajectory", "scale": "none", "include_self": False}
    return group_advantages(rewards, groups, **{**settings_, **options})


def test_the_baseline_is_the_mean_of_the_others():
    found = grouped([[1.0], [0.0, 2.0], [3.0]], ["a"] * 3)
    assert [row.tolist() for row in found.advantages] == [[-1.5], [0.0, 0.0], [1.5]]
    assert (found.groups, found.flat_groups) == (1, 0)


def test_a_turn_is_credited_with_what_follows_it():
    found = grouped([[1.0, 2.0], [0.0]], ["a", "a"], credit="turn", gamma=0.5)
    # to go: [2, 2] and [0]; at turn 1 the shorter one counts with its last turn
    assert [row.tolist() for row in found.advantages] == [[2.0, 2.0], [-2.0]]


def test_scaling_by_the_group_is_trls_formula():
    totals = [1.0, 0.0, 0.5, 1.0]
    found = grouped([[total] for total in totals], ["a"] * 4, scale="group")
    import torch

    rewards = torch.tensor(totals)
    expected = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
    assert [row[0] for row in found.advantages] == pytest.approx(expected.tolist(), rel=1e-6)


def test_a_trace_without_turns_earned_nothing_and_counts_among_the_others():
    found = grouped([[3.0], [], [1.0]], ["a"] * 3, credit="turn")
    assert [row.tolist() for row in found.advantages] == [[2.5], [], [-0.5]]


def test_the_mean_of_the_others_turn_by_turn():
    earned = np.array([[1.0, 0.0], [2.0, 4.0], [6.0, 2.0]])
    assert leave_one_out(earned).tolist() == [[4.0, 3.0], [3.5, 1.0], [1.5, 2.0]]


def test_groups_without_variance_are_counted_and_groups_of_one_use_their_role():
    baseline = RoleBaseline(decay=0.5)
    baseline.update(("g", "x", "random"), [1.0, 2.0])
    found = grouped(
        [[1.0], [1.0], [4.0]],
        ["a", "a", "b"],
        baselines=baseline,
        keys=[("g", "x", "random")] * 3,
    )
    assert (found.groups, found.flat_groups) == (1, 1)
    assert found.advantages[2].tolist() == [2.5]


def test_the_moving_average_is_bias_corrected_and_survives_a_checkpoint():
    baseline = RoleBaseline(decay=0.9)
    key = ("kuhn_poker", "Player 1", "self")
    assert baseline.value(key) == 0.0
    baseline.update(key, [3.0, 5.0])
    assert baseline.value(key) == pytest.approx(4.0), "the first average is the first mean"
    baseline.update(key, [0.0])
    assert baseline.value(key) == pytest.approx((0.9 * 0.1 * 4) / (1 - 0.81))
    baseline.update(key, [])
    assert baseline.value(key) == pytest.approx((0.9 * 0.1 * 4) / (1 - 0.81)), "nothing was seen"
    again = RoleBaseline(decay=0.9)
    again.load_state_dict(json.loads(json.dumps(baseline.state_dict())))
    assert again.value(key) == baseline.value(key)


def test_whitened_values_have_mean_zero_and_deviation_one():
    values = np.array([1.0, 2.0, 5.0, -3.0, 0.5])
    whole = whiten(values)
    assert whole.mean() == pytest.approx(0)
    assert whole.std() == pytest.approx(1)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(NUMBER, min_size=1, max_size=4), min_size=2, max_size=7),
    st.floats(0, 1),
    st.sampled_from(["trajectory", "turn"]),
    st.booleans(),
)
def test_a_group_of_any_size_against_its_definition(rewards, gamma, credit, include_self):
    found = grouped(
        rewards, ["a"] * len(rewards), gamma=gamma, credit=credit, include_self=include_self
    )

    def to_go(index, turn):
        earned = rewards[index]
        if credit == "trajectory":
            return sum(earned)
        turn = min(turn, len(earned) - 1)
        return sum(gamma ** (later - turn) * earned[later] for later in range(turn, len(earned)))

    for index, earned in enumerate(rewards):
        mates = [m for m in range(len(rewards)) if include_self or m != index]
        for turn in range(len(earned)):
            baseline = sum(to_go(mate, turn) for mate in mates) / len(mates)
            expected = to_go(index, turn) - baseline
            assert found.advantages[index][turn] == pytest.approx(expected, abs=1e-9)


def test_groups_do_not_mix_and_keep_the_order_of_the_traces():
    found = grouped([[1.0], [5.0], [0.0], [9.0]], ["a", "b", "a", "b"])
    assert [row.tolist() for row in found.advantages] == [[1.0], [-4.0], [-1.0], [4.0]]
    assert found.groups == 2


@pytest.mark.parametrize("earned", [0.0, 0.1, 1 / 3, -0.7])
def test_rounding_does_not_hide_a_group_without_variance(earned):
    found = grouped([[earned]] * 4, ["a"] * 4)
    assert found.flat_groups == 1
    assert [row.tolist() for row in found.advantages] == [[0.0]] * 4
    assert grouped([[earned, 0.0], [earned, 0.0]], ["a"] * 2, credit="turn").flat_groups == 1


def one_turn(reward: float, group: str) -> Trace:
    segment = Segment((1, 2, 3), (-1, 0, 0), (0.0, -1.0, -1.0))
    return Trace((segment,), (reward,), "g", 0, "x", group, "random")


def test_a_stage_reads_the_average_of_its_role_as_it_was_before_the_rollout():
    baseline = RoleBaseline()
    stage = GrpoStage(num_generations=1, batch_size=2)
    flat = flatten([one_turn(1.0, "a"), one_turn(3.0, "b")])
    before = ESTIMATORS[GrpoStage](stage, flat, Evidence(), baseline)
    assert before.advantages.tolist() == [1.0, 1.0, 3.0, 3.0], "nothing is known of the role yet"
    assert baseline.value(("g", "x", "random")) == 0.0, "estimating updates nothing"
    baseline.update(("g", "x", "random"), [1.0, 3.0])
    after = ESTIMATORS[GrpoStage](stage, flat, Evidence(), baseline)
    assert after.advantages.tolist() == pytest.approx([-1.0, -1.0, 1.0, 1.0])
    assert after.figures == {}, "without groups there is no share of flat ones"


def test_only_a_match_that_was_cut_off_has_value_after_its_end():
    values = np.array([0.5, 0.25, 0.5, 0.25])
    ended = one_turn(1.0, "a")
    flat = flatten([ended, replace(ended, truncated=True)])
    stage = PpoStage(gae_lambda=0.9)
    found = ESTIMATORS[PpoStage](stage, flat, Evidence(values), RoleBaseline())
    assert found.returns.tolist() == pytest.approx([1.0, 1.0, 1.25, 1.25])
    assert found.advantages == pytest.approx(found.returns - values)


@pytest.mark.parametrize("stage", [GrpoStage(), PpoStage(), ReinforceStage()])
def test_a_trace_of_moves_without_a_choice_stands_between_others(stage):
    certain = replace(one_turn(5.0, "b"), segments=(Segment((1, 2), (-1, -1), (0.0, 0.0)),))
    flat = flatten([one_turn(1.0, "a"), certain, one_turn(2.0, "c")])
    values = np.zeros(4)
    found = ESTIMATORS[type(stage)](stage, flat, Evidence(values), RoleBaseline())
    assert found.advantages.tolist() == [1.0, 1.0, 2.0, 2.0]


def test_a_penalty_per_token_is_taken_off_its_turn():
    flat = flatten([one_turn(1.0, "a"), one_turn(0.0, "a")])
    penalty = np.array([-0.1, -0.2, 0.0, 0.0])
    stage = GrpoStage(num_generations=2, batch_size=2)
    found = ESTIMATORS[GrpoStage](stage, flat, Evidence(penalty=penalty), RoleBaseline())
    assert found.advantages.tolist() == pytest.approx([0.7, 0.7, -0.7, -0.7])


@settings(max_examples=50, deadline=None)
@given(st.lists(NUMBER, min_size=1, max_size=30), st.integers(0, 30))
def test_moments_of_two_processes_add_up(values, cut):
    whole = np.array(values)
    halves = [moments(part) for part in (whole[:cut], whole[cut:])]
    total = tuple(sum(column) for column in zip(*halves, strict=True))
    assert total == pytest.approx(moments(whole), abs=1e-9)
