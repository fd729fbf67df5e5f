"""What a run says of itself before it begins, and how long it says that it will take."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tesuji.core.files import write_json, write_text
from tesuji.core.run_folder import machine
from tesuji.learners.model.tiny import build_model
from tesuji.pipeline.earlier_runs import estimate
from tesuji.pipeline.heading import heading, in_minutes
from tesuji.pipeline.plan import make_plan
from tesuji.recipe.reading.load import dump_recipe
from tesuji.recipe.schema.recipe import Recipe

SHAPE = {"hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2}
TOOK = {"data": 10.0, "before": 5.0, "sft": 100.0, "after": 6.0}


def a_recipe(name: str = "next", **changes: Any) -> Recipe:
    sft = {"max_steps": 50, **changes.pop("sft", {})}
    return Recipe.model_validate(
        {
            "name": name,
            "game": "tic_tac_toe",
            "model": {"base": "tiny", "tiny": SHAPE},
            "stages": {"data": {"oracle": "minimax"}, "sft": sft},
            **changes,
        }
    )


def earlier(
    root: Path, recipe: Recipe, steps: int = 50, changed: dict | None = None, **facts: Any
) -> None:
    """The folder of a run that has ended, as far as it is remembered."""
    stages = {name: {"status": "done", "seconds": s} for name, s in TOOK.items()}
    stages["sft"] |= changed or {}
    manifest = {"format": 1, "platform": machine(), "stages": stages, **facts}
    write_json(root / recipe.name / "manifest.json", manifest)
    write_json(root / recipe.name / "training_summary_sft.json", {"steps": steps})
    write_text(root / recipe.name / "recipe.yaml", dump_recipe(recipe))


def estimated(recipe: Recipe, root: Path) -> tuple[float, str] | None:
    return estimate(recipe, make_plan(recipe, root / recipe.name), root)


def test_nothing_is_known_of_what_was_never_done(tmp_path: Path):
    assert estimated(a_recipe(), tmp_path) is None
    said = heading(a_recipe(), make_plan(a_recipe(), tmp_path / "next"), tmp_path / "next")
    assert "not known yet" in said and "about" not in said


def test_a_run_like_one_before_takes_what_that_took(tmp_path: Path):
    earlier(tmp_path, a_recipe("first"))
    assert estimated(a_recipe(), tmp_path) == (121.0, "first")
    assert estimated(a_recipe(seed=7), tmp_path) == (121.0, "first")
    longer = a_recipe(sft={"max_steps": 200})
    assert estimated(longer, tmp_path) == (421.0, "first")
    said = heading(longer, make_plan(longer, tmp_path / "next"), tmp_path / "next").splitlines()
    assert said[-1] == "time    about 7 minutes, by what first took"


@pytest.mark.parametrize(
    "changes",
    [
        {"game": "connect_four", "stages": {"data": {"oracle": "mcts"}, "sft": {"max_steps": 50}}},
        {"model": {"base": "tiny", "tiny": {**SHAPE, "hidden_size": 32}}},
        {"sft": {"batch_size": 3}},
        {"sft": {"max_steps": -1}},
        {"stages": {"data": {"oracle": "minimax", "held_out": 0.4}, "sft": {"max_steps": 50}}},
        {"evaluation": {"episodes": 7}},
    ],
)
def test_another_kind_of_run_says_nothing_about_this_one(tmp_path: Path, changes):
    earlier(tmp_path, a_recipe("first"))
    assert estimated(a_recipe(**changes), tmp_path) is None


def test_what_was_interrupted_or_ran_elsewhere_is_not_gone_by(tmp_path: Path):
    earlier(tmp_path, a_recipe("resumed"), changed={"resumed": True})
    earlier(tmp_path, a_recipe("stopped"), changed={"status": "running"})
    earlier(tmp_path, a_recipe("elsewhere"), platform={"system": "Plan 9"})
    write_json(tmp_path / "odd" / "manifest.json", [])
    assert estimated(a_recipe(), tmp_path) is None


def test_one_that_stopped_early_would_stop_early_again(tmp_path: Path):
    sft = {"stop_when": "certificate", "stop_check_steps": 5}
    earlier(tmp_path, a_recipe("first", sft=sft), steps=20)
    assert estimated(a_recipe(sft={**sft, "max_steps": 5000}), tmp_path) == (121.0, "first")
    assert estimated(a_recipe(sft={**sft, "max_steps": 10}), tmp_path) == (71.0, "first")


def test_the_heading_says_what_runs_where_and_how_far_it_is(tmp_path: Path):
    run = tmp_path / "next"
    recipe = a_recipe(sft={"stop_when": "certificate"})
    first, *_ = plan = make_plan(recipe, run)
    first.folder(run).begin(first.key)
    first.folder(run).finish(first.key, {})
    (first.folder(run).path / "train.jsonl").touch()
    plan[2].folder(run).begin(plan[2].key)
    said = heading(recipe, make_plan(recipe, run), run)
    numbers = sum(p.numel() for p in build_model(recipe.model.tiny, 1).parameters())
    assert f"model   tiny, {numbers / 1e6:.2f}M parameters" in said
    assert "device  cpu" in said and f"folder  {run}" in said
    assert "data (done) → before → sft (goes on, 50 steps at most) → after" in said
    done = [replace(step, decision="skip") for step in plan]
    assert "nothing is left to do" in heading(recipe, done, run)


def test_times_are_in_words():
    assert [in_minutes(s) for s in (5, 50, 1500, 12_600)] == [
        "less than a minute", "about 1 minute", "about 25 minutes", "about 3.5 hours",
    ]  # fmt: skip
