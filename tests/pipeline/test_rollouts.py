"""Rollouts elsewhere: what is refused before anything starts."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from made_recipes import recipe_of

from tesuji.core.errors import EngineError, RecipeError, TesujiError
from tesuji.pipeline.checks.rollouts import check_rollouts
from tesuji.pipeline.plan import steps_of
from tesuji.pipeline.run import run_recipe
from tesuji.recipe.schema.recipe import Recipe

API = {"player": "openai", "model": "any", "max_requests": 10}


def with_ray(rollouts: dict[str, Any], **stage: Any) -> Recipe:
    plain = recipe_of(**stage).model_dump(mode="json")
    return Recipe.model_validate({**plain, "rollouts": {"engine": "ray", **rollouts}})


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if Ray were there: nothing here begins to use it."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: object() if name == "ray" else find(name)
    )


def test_without_ray_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "ray" else find(n))
    with pytest.raises(EngineError, match=r"tesuji\[ray\]") as caught:
        run_recipe(with_ray({}), tmp_path)
    assert caught.value.where == "rollouts.engine"
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("stage", "where"),
    [
        ({"play": {"opponents": ["random", API]}}, "stages.rl.play.opponents.1"),
        (
            {"play": {"curriculum": [{"name": "a"}, {"name": "b", "opponents": [API]}]}},
            "stages.rl.play.curriculum.1.opponents.0",
        ),
        (
            {"rewards": {"returns": 1.0, "oracle": {"weight": 1.0, **API}}},
            "stages.rl.rewards.oracle",
        ),
    ],
)
def test_budgets_of_endpoints_are_not_shared_with_actors(
    stage: dict[str, Any], where: str, installed: None
) -> None:
    with pytest.raises(RecipeError, match="one budget and one cache") as caught:
        check_rollouts(with_ray({}, **stage))
    assert caught.value.where == where


@pytest.mark.parametrize(("actors", "fits"), [(2, True), ("auto", True), (3, False)])
def test_no_actor_is_without_a_group(actors: Any, fits: bool, installed: None) -> None:
    recipe = with_ray({"actors": actors}, batch_size=8, num_generations=4)
    if fits:
        check_rollouts(recipe)
        return
    with pytest.raises(RecipeError, match="3 actors for 2 groups"):
        check_rollouts(recipe)


def test_what_actors_cannot_do_is_refused(installed: None) -> None:
    plain = with_ray({}).model_dump(mode="json")
    stages = {"data": {"kind": "data"}, "sft": {"kind": "sft"}}
    with pytest.raises(RecipeError, match="no stage plays"):
        check_rollouts(Recipe.model_validate({**plain, "stages": stages}))
    model = {**plain["model"], "load_in_4bit": True, "lora": {"r": 4}}
    with pytest.raises(RecipeError, match="4 bits"):
        check_rollouts(Recipe.model_validate({**plain, "model": model}))
    sampling = {**plain["sampling"], "engine": "vllm", "url": ["http://127.0.0.1:8000"]}
    with pytest.raises(RecipeError, match="ask no server"):
        check_rollouts(Recipe.model_validate({**plain, "sampling": sampling}))
    ahead = with_ray({}, max_staleness=1).model_dump(mode="json")
    with pytest.raises(RecipeError, match="do not play ahead"):
        check_rollouts(Recipe.model_validate({**ahead, "distributed": {"processes": 2}}))


@pytest.mark.parametrize(
    ("rollouts", "words"),
    [
        ({"engine": "here", "actors": 2}, "actors is of Ray"),
        ({"engine": "here", "address": "auto"}, "address is of Ray"),
        ({"address": "http://head:8265"}, "write local, auto, ray://HOST:PORT or HOST:PORT"),
        ({"address": "ray://me:password@head:10001"}, "write local, auto"),
        ({"actors": 0}, "greater than or equal to 1"),
    ],
)
def test_keys_that_mean_nothing(rollouts: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, TesujiError), match=words):
        with_ray(rollouts)


def logs_recipe(tmp_path: Path, **stage: Any) -> Recipe:
    plain = recipe_of().model_dump(mode="json")
    if not (log := tmp_path / "a.json").exists():
        log.write_text("{}")
    return Recipe.model_validate({**plain, "stages": {"logs": {"paths": [str(log)], **stage}}})


def test_who_reads_logs_changes_nothing_in_the_key(tmp_path: Path) -> None:
    by_ray = {"engine": "ray", "address": "ray://there:10001", "processes": 64}
    (ours, *_), (theirs, *_) = (steps_of(logs_recipe(tmp_path, **stage)) for stage in ({}, by_ray))
    assert ours.key == theirs.key
    assert ours.key != steps_of(logs_recipe(tmp_path, include=["error"]))[0].key


def test_logs_by_ray_are_refused_where_it_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "ray" else find(n))
    with pytest.raises(EngineError, match="Ray is not installed") as caught:
        run_recipe(logs_recipe(tmp_path, engine="ray"), tmp_path / "runs")
    assert caught.value.where == "stages.logs.engine"
    assert not (tmp_path / "runs").exists()
    with pytest.raises(ValueError, match="address is of Ray: add engine: ray"):
        logs_recipe(tmp_path, address="auto")
