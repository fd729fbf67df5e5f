"""From easy to hard: when the next stage of a curriculum begins."""

import json

import pytest

from tesuji.core.errors import DataError, RecipeError
from tesuji.episodes.schedule.curriculum import Curriculum
from tesuji.recipe.schema.play import CurriculumStage

EASY = {"name": "easy", "opponents": ["random"], "threshold": 0.6, "window": 10}


HARD = {"name": "hard", "opponents": ["minimax", "random"], "threshold": 0.6, "window": 10}


def as_read(state):
    return json.loads(json.dumps(state))


def stages(*rows) -> list[CurriculumStage]:
    return [CurriculumStage.model_validate(row) for row in rows]


def test_the_next_stage_begins_once_a_full_window_is_good_enough():
    curriculum = Curriculum(stages(EASY, HARD))
    assert curriculum.success is None
    assert curriculum.observe([True] * 9) is None
    assert curriculum.success == 1.0
    assert curriculum.observe([False]) == (
        "Curriculum: advanced to stage 2/2 (hard): 90.0% success over the last 10 matches"
    )
    assert (curriculum.index, curriculum.stage.name, curriculum.success) == (1, "hard", None)


def test_only_the_window_counts_and_the_threshold_is_enough():
    curriculum = Curriculum(stages(EASY, HARD))
    assert curriculum.observe([True] * 50 + [False] * 5 + [True] * 5) is None
    assert curriculum.success == 0.5
    assert curriculum.observe([False] * 4 + [True] * 6) is not None


def test_a_rollout_larger_than_the_window_does_not_run_through_several_stages():
    curriculum = Curriculum(stages(EASY, {**EASY, "name": "medium"}, HARD))
    assert "2/3 (medium)" in (curriculum.observe([True] * 100) or "")
    assert (curriculum.index, curriculum.success) == (1, None)


def test_the_last_stage_is_never_left():
    curriculum = Curriculum(stages(EASY))
    assert curriculum.observe([True] * 100) is None
    assert (curriculum.index, curriculum.success) == (0, 1.0)


def test_a_curriculum_goes_on_from_its_state():
    first = Curriculum(stages(EASY, EASY, HARD))
    first.observe([True] * 10)
    first.observe([True, False, True])
    second = Curriculum(stages(EASY, EASY, HARD))
    second.load_state_dict(as_read(first.state_dict()))
    for curriculum in (first, second):
        assert (curriculum.index, curriculum.success) == (1, pytest.approx(2 / 3))
    assert first.observe([True] * 7) == second.observe([True] * 7) is not None


def test_a_state_of_a_longer_curriculum_is_refused():
    with pytest.raises(DataError, match="stage 2 of a curriculum of 1"):
        Curriculum(stages(EASY)).load_state_dict({"stage": 1, "window": []})


def test_a_curriculum_without_stages_is_refused():
    with pytest.raises(RecipeError, match="at least one"):
        Curriculum([])
