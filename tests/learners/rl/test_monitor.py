"""What a run says of itself: the console line, and alarms that are raised once."""

import json

import pytest

from tesuji.learners.rl.metrics import speed
from tesuji.learners.rl.monitor import Alarms, console_line
from tesuji.learners.rl.update.reference import KLControl
from tesuji.recipe.schema.rl import GrpoStage

QUIET = {"approx_kl": 0.01, "entropy": 1.0, "reply_length": 20.0, "success": 0.3}


def test_the_console_line_is_the_one_people_know():
    metrics = {"reward": 0.45231, "score": 0.60119, "success": 0.45}
    metrics |= {"success_low": 0.41, "success_high": 0.494}
    expected = "step 100: reward 0.452, score 0.601, success 45% (41–49)"
    assert console_line(100, metrics) == expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"approx_kl": 0.9}, "lower learning_rate or num_iterations, or raise beta"),
        ({"entropy": 0.05}, "raise entropy_coef or sampling.temperature"),
        ({"reply_length": 2.0}, "replies shrank to 2.0 tokens"),
    ],
)
def test_what_goes_wrong_is_said_once_and_with_what_to_do(change, words):
    alarms = Alarms()
    for step in range(1, 25):
        assert alarms.look(step, QUIET) == []
    (said,) = alarms.look(25, QUIET | change)
    assert said.startswith("step 25: ")
    assert words in said
    assert alarms.look(26, QUIET | change) == [], "said once"
    assert alarms.look(27, QUIET) == []
    assert alarms.look(28, QUIET | change), "and again after it had been right"


def test_groups_without_any_difference_are_noticed_after_ten_rollouts():
    alarms = Alarms()
    said = [alarms.look(step, QUIET | {"zero_variance_groups": 1.0}) for step in range(1, 13)]
    assert [bool(lines) for lines in said] == [False] * 9 + [True] + [False] * 2
    assert "num_generations" in said[9][0]


def test_alarms_go_on_after_a_restart_as_they_would_have():
    one, other = Alarms(), Alarms()
    for step in range(1, 24):
        one.look(step, QUIET)
    one.look(24, QUIET | {"approx_kl": 2.0})
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    for step, change in ((25, {"approx_kl": 2.0}), (26, {"entropy": 0.01}), (27, {})):
        assert one.look(step, QUIET | change) == other.look(step, QUIET | change)


def test_the_kl_controller_steers_towards_its_target():
    stage = GrpoStage(beta=0.1, kl_in="reward", target_kl=0.05, kl_horizon=100)
    control = KLControl(stage)
    control.observe(0.5, matches=10)
    assert control.beta == pytest.approx(0.1 * 1.02), "at most a fifth too much is believed"
    control.observe(0.0, matches=10)
    assert control.beta == pytest.approx(0.1 * 1.02 * 0.98)
    fixed = KLControl(GrpoStage(beta=0.1))
    fixed.observe(9.0, matches=10)
    assert fixed.beta == 0.1


def test_speed_survives_a_rollout_that_took_no_time():
    found = speed({"matches": 4, "reply_tokens": 8}, 0.0, 8, 0.5)
    assert found["speed/update_tokens_per_second"] == 16
    assert found["speed/memory_gb"] > 0
