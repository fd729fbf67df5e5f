"""Sections brought from other projects: modal, vllm, wandb, and a model by game."""

from pathlib import Path

import pytest
from recipe_files import SMALL, error_of, write

from tesuji.compute.base import Wish
from tesuji.compute.modal.defaults import by_recipe
from tesuji.core.metric_log import MetricLog
from tesuji.pipeline.plan import steps_of
from tesuji.recipe.reading.load import dump_recipe, load_recipe

MODAL = "modal: {cpus: 8, memory: 65536, gpu: {count: 2, type: H100}, timeout: 5400}\n"
BY_GAME = """\
model:
  base: smollm2
  overrides:
    tic_tac_toe: some/model
    vf-wordle: {base: other/model, lora: {r: 4}}
"""


def test_modal_is_what_launch_asks_for_unless_told_otherwise(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path / "r.yaml", SMALL + MODAL))
    asked = by_recipe(Wish("modal"), recipe, timeout=None)
    assert (asked.gpu, asked.count, asked.cpus, asked.memory_gb) == ("H100", 2, 8, 64)
    assert asked.timeout_hours == 1.5
    told = Wish("modal", "T4", 1, cpus=2, memory_gb=4, timeout_hours=3)
    assert by_recipe(told, recipe, timeout=3) == told
    assert by_recipe(Wish("runpod"), recipe, timeout=None) == Wish("runpod")


def test_vllm_is_short_for_keys_of_sampling(tmp_path: Path) -> None:
    vllm = "vllm: {gpu_memory_utilization: 0.4, max_model_len: 512, max_tokens: 16}\n"
    recipe = load_recipe(write(tmp_path / "r.yaml", SMALL + vllm))
    assert recipe.sampling.engine == "vllm" and recipe.sampling.max_new_tokens == 16
    assert recipe.sampling.gpu_memory_utilization == 0.4
    assert load_recipe(write(tmp_path / "again.yaml", dump_recipe(recipe))) == recipe
    for sampling, words in (
        ("engine: local", "engine: vllm"),
        ("max_new_tokens: 8", "vllm: it says max_new_tokens 16, and sampling.max_new_tokens is 8"),
    ):
        text = f"{SMALL}{vllm}sampling: {{{sampling}}}\n"
        error = error_of(write(tmp_path / "wrong.yaml", text))
        assert words in str(error)


def test_wandb_reports_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb")
    text = SMALL + "wandb: {project: p, run_name: n, entity: e, tags: [a, b]}\n"
    recipe = load_recipe(write(tmp_path / "r.yaml", text))
    assert recipe.report_to == ["wandb"] and recipe.wandb
    assert "mean the same" in str(error_of(tmp_path / "r.yaml", ["wandb.name=other"]))
    monkeypatch.setenv("WANDB_MODE", "offline")
    log = MetricLog(tmp_path, report_to=["wandb"], run_name="r", wandb=recipe.wandb.options())
    run = wandb.run
    assert (run.project, run.name, run.entity, run.tags) == ("p", "n", "e", ("a", "b"))
    log.close()


def test_a_model_by_game(tmp_path: Path) -> None:
    file = write(tmp_path / "r.yaml", SMALL + BY_GAME)
    assert load_recipe(file).model.base == "some/model"
    wordle = load_recipe(file, ["game=vf-wordle"]).model
    assert wordle.base == "other/model" and wordle.adapters and wordle.adapters.r == 4
    assert load_recipe(file, ["game=hex"]).model.base == "smollm2"
    told = load_recipe(file, ["model.base=tiny"])
    assert told.model.base == "tiny" and told.model.overrides == {}
    assert load_recipe(write(tmp_path / "again.yaml", dump_recipe(told))) == told
    wrong = write(tmp_path / "wrong.yaml", SMALL + BY_GAME.replace("lora:", "loar:"))
    assert "did you mean lora" in str(error_of(wrong))


def test_keys_stay_as_they_were_before_there_were_these_sections(tmp_path: Path) -> None:
    plain = steps_of(load_recipe(write(tmp_path / "r.yaml", SMALL)))
    other = steps_of(load_recipe(write(tmp_path / "o.yaml", SMALL + MODAL + "wandb: {}\n")))
    assert [step.key for step in plain] == [step.key for step in other]
    assert [step.key for step in plain] == KEYS


KEYS = ["4c0c4183bcfce735", "968cefb13c1f9331", "ab071c93a4232571", "a76ccff9f118f5ce"]
