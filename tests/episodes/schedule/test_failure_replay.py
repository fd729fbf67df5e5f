"""Failed tasks: which are remembered, how often they come back, and when they are forgotten."""

import json
import random
from collections import Counter
from dataclasses import replace

import pytest

from tesuji.core.types import Task
from tesuji.episodes.schedule.failure_replay import FailureReplay
from tesuji.episodes.schedule.schedule import POLICY
from tesuji.recipe.schema.play import FailureReplaySection

REPLAY = {"share": 0.5, "mastered": 0.75}


def as_read(state):
    return json.loads(json.dumps(state))


def task(seed: int, repeat: int = 0, label: str = "random") -> Task:
    return Task("tic_tac_toe", seed, (POLICY, label), repeat=repeat)


def memory(group_size=1, **section) -> FailureReplay:
    replay = FailureReplaySection.model_validate(section)
    return FailureReplay(replay, group_size=group_size)


def drawn(replay: FailureReplay, times: int) -> Counter:
    rng = random.Random(0)
    return Counter(task.seed for task in (replay.draw(rng) for _ in range(times)) if task)


def test_only_failures_are_remembered_and_only_until_they_are_mastered():
    replay = memory(mastered=0.75)
    assert replay.draw(random.Random(0)) is None
    replay.observe(task(1), 0.5)
    assert len(replay) == 0
    replay.observe(task(1), 0.49)
    replay.observe(task(1, repeat=5), 0.74)
    assert len(replay) == 1
    replay.observe(task(1, repeat=6), 0.75)
    assert len(replay) == 0


def test_the_oldest_failure_makes_room_and_failing_again_makes_young():
    replay = memory(capacity=2)
    for seed in (1, 2, 1, 3):
        replay.observe(task(seed), 0.1)
    assert set(drawn(replay, 50)) == {1, 3}


def test_worse_tasks_are_drawn_more_often_and_none_never():
    replay = memory(mastered=1.0)
    replay.observe(task(1), 0.0)
    replay.observe(task(2), 0.4)
    replay.observe(task(3), 0.4)
    replay.observe(task(3), 0.99)
    counts = drawn(replay, 4000)
    assert counts[1] / counts[2] == pytest.approx(1 / 0.6, rel=0.15)
    assert 50 < counts[3] < 250


def test_every_visit_has_fresh_repeats_even_of_a_task_that_was_mastered_in_between():
    replay = memory(group_size=4)
    replay.observe(task(1, repeat=3), 0.0)
    visits = [replay.draw(random.Random(0)) for _ in range(3)]
    assert visits == [task(1, 4), task(1, 8), task(1, 12)]
    replay.observe(task(1, repeat=15), 1.0)
    replay.observe(task(1, repeat=12), 0.0)
    assert replay.draw(random.Random(0)) == task(1, 16)


def test_a_memory_goes_on_from_its_state():
    first = memory()
    for seed in range(20):
        first.observe(replace(task(seed), options={"players": 2}), seed / 40)
    first.draw(random.Random(1))
    second = memory()
    second.load_state_dict(as_read(first.state_dict()))
    ours, theirs = random.Random(2), random.Random(2)
    assert [first.draw(ours) for _ in range(50)] == [second.draw(theirs) for _ in range(50)]
    assert first.state_dict() == second.state_dict()
