"""Hours on a GPU that is not here: remembered from a run there, else by a formula."""

from pathlib import Path

import pytest

from tesuji.core.files import write_json, write_jsonl, write_text
from tesuji.core.run_folder import machine
from tesuji.pipeline.earlier_runs import remembered
from tesuji.pipeline.forecast.elsewhere import (
    FORMULA,
    Expected,
    Formula,
    counted,
    expected_on,
    on_gpu,
)
from tesuji.pipeline.forecast.gpus import GPUS, gpu_of
from tesuji.pipeline.forecast.work import Work
from tesuji.pipeline.memory.published import GPUS as MEMORY
from tesuji.pipeline.memory.published import facts_of
from tesuji.pipeline.plan import steps_of
from tesuji.recipe.reading.load import dump_recipe, load_recipe
from tesuji.recipe.schema.recipe import Recipe

A100 = "NVIDIA A100-SXM4-40GB"
SFT = {"max_steps": 200, "batch_size": 4, "learning_rate": 0.001}


def recipe_of(name: str, **sft) -> Recipe:
    plain = {"name": name, "game": "tic_tac_toe", "model": {"base": "Qwen/Qwen3-4B", "lora": None}}
    looks = {"before": False, "episodes": 10, "positions": 0}
    return Recipe.model_validate({**plain, "stages": {"sft": {**SFT, **sft}}, "evaluation": looks})


def ended(root: Path, recipe: Recipe, platform: dict, seconds: float, pace: float = 0.0) -> None:
    """A run of this recipe; with a `pace` its metric log has a line every step."""
    steps = recipe.stages["sft"].max_steps
    stage = {"status": "done", "key": "k", "seconds": seconds}
    manifest = {"format": 1, "name": recipe.name, "platform": platform, "stages": {"sft": stage}}
    write_json(root / recipe.name / "manifest.json", manifest)
    write_text(root / recipe.name / "recipe.yaml", dump_recipe(recipe))
    write_json(root / recipe.name / "training_summary_sft.json", {"steps": steps})
    rows = [
        {"stage": "sft", "step": s, "time": 1e9 + pace * s, "loss": 1.0} for s in range(1, steps)
    ]
    write_jsonl(root / recipe.name / "metrics.jsonl", rows if pace else [])


def test_a_short_run_tells_what_a_step_takes_beside_what_it_takes_to_begin(tmp_path):
    short = recipe_of("short", max_steps=10, logging_steps=1, warmup_steps=3)
    ended(tmp_path, short, machine(), seconds=30.0, pace=0.5)
    [step, *_] = [one for one in steps_of(recipe_of("long")) if one.name == "sft"]
    assert remembered(recipe_of("long"), step, tmp_path) == (30.0 + 0.5 * 190, "short")
    write_jsonl(tmp_path / "short" / "metrics.jsonl", [])
    assert remembered(recipe_of("long"), step, tmp_path) == (30.0 * 20, "short")


def test_another_batch_is_another_pace(tmp_path):
    ended(tmp_path, recipe_of("short", max_steps=10, batch_size=8), machine(), seconds=30.0)
    [step, *_] = [one for one in steps_of(recipe_of("long")) if one.name == "sft"]
    assert remembered(recipe_of("long"), step, tmp_path) is None


def on(gpu: str, count: int, runs: Path, recipe: Recipe) -> dict[str, Expected]:
    facts, _ = facts_of(recipe.model)
    known = gpu_of(gpu)
    assert known is not None
    work = counted(recipe, facts, runs, trees=True)
    return {one.name: one for one in expected_on(known, count, work)}


def test_a_run_on_such_gpus_is_remembered_and_no_other(tmp_path):
    there = {**machine(), "gpus": [A100, A100]}
    ended(tmp_path, recipe_of("there", max_steps=20), there, seconds=60.0, pace=2.0)
    gpu = gpu_of("A100-40GB")
    assert gpu is not None and on_gpu(gpu, 2)(there)
    assert not on_gpu(gpu, 1)(there) and not on_gpu(gpu, 2)(machine())
    recipe = recipe_of("next").model_copy(update={"distributed": None})
    [step, *_] = [one for one in steps_of(recipe) if one.name == "sft"]
    assert remembered(recipe, step, tmp_path, on_gpu(gpu, 2)) == (60.0 + 2.0 * 180, "there")
    assert remembered(recipe, step, tmp_path) is None


def test_the_formula_is_6_operations_a_parameter_and_token(tmp_path):
    recipe = recipe_of("next")
    facts, _ = facts_of(recipe.model)
    h100 = gpu_of("H100")
    assert h100 is not None
    formula = Formula(h100, 1, recipe, facts)
    [step, *_] = [one for one in steps_of(recipe) if one.name == "sft"]
    work = Work(100, 50_000, learn=((1.0, 50_000.0),))
    by_hand = 100 * 6 * facts.parameters * 50_000 / (989e12 * 0.35)
    assert formula(step, work) - formula.load == pytest.approx(by_hand, rel=0.1)
    two = Formula(h100, 2, recipe, facts)
    assert two(step, work) - two.load == pytest.approx((formula(step, work) - formula.load) / 1.8)
    sampled = Work(1, 1, read=((1.0, 4.0),))
    assert formula.a_pass(4, 2, 1) == pytest.approx(
        2 * facts.parameters / (3350e9 * 0.6) + 36 * 0.4e-3
    ), "a pass of few tokens reads all weights once"
    assert formula(step, sampled) < 60


def test_a_recipe_that_ships_is_estimated_by_the_formula(tmp_path):
    recipe = load_recipe("openspiel/ppo-lora")
    slow, fast = (on(gpu, 1, tmp_path, recipe)["ppo"] for gpu in ("A10", "H100"))
    assert slow.by == fast.by == FORMULA
    assert slow.seconds and fast.seconds and slow.seconds > fast.seconds > 600


def test_every_gpu_whose_memory_is_known_has_a_speed_and_each_name_is_one_s():
    assert {gpu.name for gpu in GPUS} == set(MEMORY)
    names = [name for gpu in GPUS for name in (gpu.name, *gpu.devices)]
    assert len(names) == len(set(names))
    assert gpu_of("nvidia geforce rtx 4090") is gpu_of("RTX-4090")
