"""Models made whole for other programs: every kind of adapter, merged and loaded again."""

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from tesuji.core.checksums import damage
from tesuji.core.errors import EngineError
from tesuji.core.files import read_json, write_json
from tesuji.learners.export.whole import probe, save_whole, whole_model
from tesuji.learners.model.tiny import build_model, build_tokenizer
from tesuji.recipe.schema.sections import ModelSection, TinyModel

SHAPE = TinyModel(hidden_size=16, num_attention_heads=2, num_key_value_heads=1,
                  intermediate_size=32)  # fmt: skip
ADAPTERS = {
    "all linear layers": {"target_modules": "all-linear"},
    "the embedding, which the head shares": {"target_modules": ["q_proj", "embed_tokens"]},
    "the head, which shares the embedding": {"target_modules": ["q_proj", "lm_head"]},
    "a head that is saved whole": {"target_modules": ["v_proj"], "modules_to_save": ["lm_head"]},
    "rank-stabilised DoRA": {"target_modules": ["o_proj"], "use_dora": True, "use_rslora": True},
}


@pytest.fixture(scope="module", params=["qwen3", "llama"])
def base(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp(request.param) / "base"
    shape = SHAPE.model_copy(update={"architecture": request.param})
    build_model(shape, seed=1).save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
    return folder


def adapter_on(base: Path, folder: Path, **options) -> torch.Tensor:
    """An adapter whose every weight was moved; returns what it gives on its base."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype="float32")
    model = get_peft_model(model, LoraConfig(r=4, task_type="CAUSAL_LM", **options))
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.3 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
    return probe(model.eval())


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("options", ADAPTERS.values(), ids=ADAPTERS)
def test_a_merged_model_is_the_adapter_on_its_base(base: Path, tmp_path: Path, options: dict):
    adapted = adapter_on(base, tmp_path / "final", **options)
    bare = probe(AutoModelForCausalLM.from_pretrained(base, dtype="float32").eval())
    assert (adapted - bare).abs().max() > 0.01
    whole = whole_model(ModelSection(base=str(base)), str(tmp_path / "final"))
    [note] = whole.notes
    assert note.startswith("merged into its base in float32: logits are at most ")
    [saved] = save_whole(whole, tmp_path / "merged", whole.dtype)
    assert saved == "saved in float32; loaded again by transformers alone, they are 0 off"
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype="auto").eval()
    assert loaded.dtype == torch.float32
    torch.testing.assert_close(
        probe(loaded), adapted, rtol=0, atol=1e-5 * max(1, adapted.abs().max())
    )
    assert damage(tmp_path / "merged") == ""
    shared = "lm_head" not in str(options) and "embed_tokens" not in str(options)
    assert read_json(tmp_path / "merged" / "config.json")["tie_word_embeddings"] is shared


def test_rounding_is_told_and_is_no_fault(base: Path, tmp_path: Path):
    adapted = adapter_on(base, tmp_path / "final", target_modules="all-linear")
    whole = whole_model(ModelSection(base=str(base)), str(tmp_path / "final"))
    [note] = save_whole(whole, tmp_path / "merged", "bfloat16")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype="float32").eval()
    off = float((probe(loaded) - adapted).abs().max())
    assert 1e-4 < off < 1 and f"saved in bfloat16, which moves logits by up to {off:.2g};" in note


def test_an_adapter_that_is_no_number_is_refused(base: Path, tmp_path: Path):
    adapter_on(base, tmp_path / "final", target_modules="all-linear")
    file = tmp_path / "final" / "adapter_model.safetensors"
    weights = load_file(file)
    next(iter(weights.values()))[0, 0] = float("nan")
    save_file(weights, file)
    with pytest.raises(EngineError, match="cannot be merged: NaNs detected"):
        whole_model(ModelSection(base=str(base)), str(tmp_path / "final"))


def test_a_reward_model_becomes_whole_with_its_head(base: Path, tmp_path: Path):
    kind = AutoModelForSequenceClassification
    model = kind.from_pretrained(base, num_labels=1, dtype="float32", pad_token_id=256)
    model = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", target_modules=["q_proj"]))
    model.save_pretrained(tmp_path / "final")
    build_tokenizer().save_pretrained(tmp_path / "final")
    write_json(tmp_path / "final" / "reward.json", {"mean": 0.5})
    whole = whole_model(ModelSection(base=str(base)), str(tmp_path / "final"))
    assert whole.rewarding
    save_whole(whole, tmp_path / "merged", "float32")
    loaded = kind.from_pretrained(tmp_path / "merged").eval()
    torch.testing.assert_close(probe(loaded), probe(model.eval()), rtol=0, atol=1e-5)
    assert read_json(tmp_path / "merged" / "reward.json") == {"mean": 0.5}
