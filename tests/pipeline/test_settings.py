"""Settings that fit the model: what `auto` becomes, what is refused and what is only said."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoConfig

from tesuji.core.errors import RecipeError
from tesuji.learners.model.dtype import dtype_of
from tesuji.learners.model.load import load_policy, prepare_base
from tesuji.learners.model.rules import Learner, learning_rate, muon_rate, row_limit
from tesuji.learners.model.tiny import build_tokenizer
from tesuji.pipeline.checks.model import inspect_base
from tesuji.pipeline.checks.recipe import check
from tesuji.pipeline.heading import heading
from tesuji.pipeline.settings import remarks, settled
from tesuji.recipe.reading.load import dump_recipe, load_recipe
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import GrpoStage
from tesuji.recipe.schema.sections import ModelSection, TinyModel
from tesuji.recipe.schema.stages import SftStage

SMALL = TinyModel(hidden_size=16, num_attention_heads=2, num_key_value_heads=2)
BASIC = {"name": "x", "game": "tic_tac_toe", "prompt": {"style": "compact", "answer": "id"}}
STAGES = {"data": {}, "sft": {"max_steps": 2}, "grpo": {"max_steps": 2, "batch_size": 8}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> str:
    """A folder that passes for SmolLM2-135M until its weights are read."""
    folder = tmp_path_factory.mktemp("models") / "smollm2"
    AutoConfig.for_model(
        "llama", vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
        num_attention_heads=9, num_key_value_heads=3, tie_word_embeddings=True,
        max_position_embeddings=8192,
    ).save_pretrained(folder)  # fmt: skip
    build_tokenizer().save_pretrained(folder)
    save_file({"x": torch.zeros(1)}, folder / "model.safetensors")
    return str(folder)


def recipe_of(base: str = "tiny", **changes) -> Recipe:
    model = {"base": base, **changes.pop("model", {})}
    return Recipe.model_validate({**BASIC, "model": model, "stages": STAGES, **changes})


def test_a_trained_model_gets_adapters_and_slow_rates_and_the_recipe_says_so(trained, tmp_path):
    recipe = check(recipe_of(trained))
    assert recipe.model.adapters is not None and recipe.model.adapters.r == 16
    assert recipe.stages["sft"].learning_rate == 1.3e-3
    assert recipe.stages["grpo"].learning_rate == 5.3e-5
    (tmp_path / "recipe.yaml").write_text(dump_recipe(recipe))
    assert check(load_recipe(tmp_path / "recipe.yaml")) == recipe
    said = heading(recipe, [], tmp_path)
    assert "135M parameters, LoRA of rank 16" in said
    assert "rates   sft 0.0013, grpo 5.3e-05" in said
    whole = check(recipe_of(trained, model={"lora": None}))
    assert whole.model.adapters is None
    assert whole.stages["sft"].learning_rate == 1.3e-4


def test_a_model_from_scratch_is_trained_whole_and_fast():
    recipe = check(recipe_of())
    assert recipe.model.adapters is None
    assert recipe.stages["sft"].learning_rate == 2.9e-3
    sft = {"max_steps": 2, "optimizer": "muon"}
    recipe = check(recipe_of(stages={"data": {}, "sft": sft}))
    muon = recipe.stages["sft"]
    assert (muon.learning_rate, muon.adamw_learning_rate) == (1.4e-2, 2.9e-3)
    given = check(recipe_of(stages={"data": {}, "sft": {**sft, "learning_rate": 0.02}}))
    assert given.stages["sft"].adamw_learning_rate is None, "what was given is left as it was"


def test_a_model_that_is_not_here_yet_is_taken_for_a_large_one(monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "is_offline_mode", lambda: False)
    recipe = check(recipe_of("somebody/large"))
    assert recipe.model.adapters is not None
    assert recipe.stages["sft"].learning_rate == 5e-4


def test_an_adapter_is_gone_on_with_whatever_its_base_is(tmp_path: Path):
    base = prepare_base(ModelSection(tiny=SMALL), tmp_path / "base", 1)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    assert settled(recipe_of(str(adapter)), None).model.adapters is not None


def test_the_rules_say_what_their_sources_say():
    wide = Learner("x", 7_600_000_000, 3584)
    whole, lora = (
        learning_rate(SftStage(), Learner("x", 7_600_000_000, 3584, one)) for one in (False, True)
    )
    assert lora == pytest.approx(10 * whole, rel=0.05)
    assert 1e-4 < lora < 5e-4, "QLoRA has 2e-4 for 7B"
    assert 1e-6 <= learning_rate(GrpoStage(), wide) <= 2e-6
    assert learning_rate(SftStage(), Learner("x", None, 576, True)) > lora, "narrower, faster"
    assert muon_rate(1e-3, wide) == 1e-3
    assert muon_rate(1e-3, Learner("tiny", 150_000, 64)) == 5e-3


@pytest.mark.parametrize("name", ["tictactoe/tiny", "wordle/tiny", "openspiel/kuhn-selfplay"])
def test_another_base_alone_says_what_to_write_and_then_works(trained, name):
    wanted = [f"model.base={trained}"]
    with pytest.raises(RecipeError, match="are for a small model from scratch") as caught:
        check(load_recipe(name, wanted))
    changes = caught.value.hint.removeprefix("write ").split()
    recipe = check(load_recipe(name, [*wanted, *changes]))
    assert not remarks(recipe, inspect_base(recipe))


def test_back_to_a_model_from_scratch_is_said_to_learn_too_slowly(trained):
    def said(base: str) -> list[str]:
        recipe = check(load_recipe("tictactoe/grpo", [f"model.base={base}"]))
        return remarks(recipe, inspect_base(recipe))

    assert not said(trained)
    slow = said("tiny")
    assert [line.partition("=")[0] for line in slow] == [
        "stages.sft.learning_rate", "stages.grpo.learning_rate",
    ]  # fmt: skip
    assert slow[0].endswith("(usual: 0.0029)")


def test_a_rate_that_is_only_fast_is_said_and_not_refused(trained):
    stages = {"data": {}, "sft": {"max_steps": 2, "learning_rate": 8e-3}}
    recipe = check(recipe_of(trained, stages=stages))
    assert "beware  stages.sft.learning_rate=0.008 is fast" in heading(recipe, [], Path("x"))
    stages["sft"]["learning_rate"] = 2e-2
    with pytest.raises(RecipeError, match="forget what it knows"):
        check(recipe_of(trained, stages=stages))


def test_a_length_that_would_cut_some_prompts_is_refused():
    prompt = {"style": "full", "answer": "id"}
    for length, said in ((20, "no prompt fits"), (400, "not every prompt fits")):
        sft = {"max_steps": 2, "max_length": length}
        with pytest.raises(RecipeError, match=f"{said} into {length} tokens") as caught:
            check(recipe_of(prompt=prompt, stages={"data": {}, "sft": sft}))
        assert "stages.sft.max_length=auto" in caught.value.hint
    check(recipe_of(prompt=prompt))


def test_a_row_is_as_long_as_the_model_reads():
    config = AutoConfig.for_model("llama", max_position_embeddings=512)
    assert (row_limit("auto", config), row_limit(64, config)) == (512, 64)
    assert row_limit("auto", AutoConfig.for_model("bloom")) > 100_000


def test_bfloat16_is_for_processors_that_compute_in_it(monkeypatch, tmp_path: Path):
    small = TinyModel(hidden_size=64, intermediate_size=256)
    large = TinyModel(hidden_size=320, intermediate_size=1280)
    types = {}
    for fast in (False, True):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda fast=fast: fast)
        for name, shape in (("small", small), ("large", large)):
            section = ModelSection(tiny=shape, device="cpu")
            source = prepare_base(section, tmp_path / name, 1)
            types[name, fast] = load_policy(section, source).model.dtype
        assert dtype_of(ModelSection(dtype="bfloat16"), "cpu", 1) == torch.bfloat16
    assert [name for name, dtype in types.items() if dtype == torch.bfloat16] == [("large", True)]
