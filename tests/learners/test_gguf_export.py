"""GGUF files of ours, read by llama.cpp (xllamacpp) and by transformers, which wrote neither."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tesuji.core.errors import EngineError
from tesuji.learners.export.gguf_check import compare_gguf
from tesuji.learners.export.gguf_file import refuse_unwritten, write_gguf
from tesuji.learners.export.gguf_tokens import way_to_split
from tesuji.learners.export.whole import probe
from tesuji.learners.model.tiny import build_model, build_tokenizer
from tesuji.recipe.schema.sections import TinyModel

pytest.importorskip("xllamacpp")
SHAPE = TinyModel(hidden_size=64, num_attention_heads=4, num_key_value_heads=2,
                  intermediate_size=96)  # fmt: skip
OFF = {"f32": 0.002, "f16": 0.01, "bf16": 0.03, "q8_0": 0.15}  # nats


def model_of(architecture: str):
    """A model whose heads and positions matter: with weights as drawn at first they hardly do."""
    model = build_model(SHAPE.model_copy(update={"architecture": architecture}), seed=1).eval()
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
def test_llama_cpp_reads_the_same_model_out_of_the_file(architecture: str, tmp_path: Path):
    model, tokenizer = model_of(architecture), build_tokenizer()
    for outtype, off in OFF.items():
        file = tmp_path / f"model-{outtype}.gguf"
        write_gguf(model, tokenizer, file, outtype, name="made")
        assert compare_gguf(file, model, tokenizer) < off, outtype
    # and transformers, which knows which numbers of a head belong together
    unread = {"head_dim": model.config.head_dim} if architecture == "qwen3" else {}
    kind = AutoModelForCausalLM
    loaded = kind.from_pretrained(tmp_path, gguf_file="model-f32.gguf", **unread)
    torch.testing.assert_close(probe(loaded.eval()), probe(model), rtol=0, atol=1e-4)


def test_another_model_in_the_file_is_noticed(tmp_path: Path):
    tokenizer = build_tokenizer()
    write_gguf(model_of("llama"), tokenizer, tmp_path / "a.gguf", "f32", name="made")
    other = model_of("llama")
    with torch.no_grad():
        other.model.layers[0].mlp.down_proj.weight *= -20
    with pytest.raises(EngineError, match=r"llama\.cpp reads another model out of this file"):
        compare_gguf(tmp_path / "a.gguf", other, tokenizer)
    (tmp_path / "b.gguf").write_bytes(b"GGUF no more")
    with pytest.raises(EngineError, match=r"llama\.cpp cannot read this file"):
        compare_gguf(tmp_path / "b.gguf", other, tokenizer)


def test_smollm2_keeps_its_words_and_its_digits(short_smollm2: Path, tmp_path: Path):
    model = AutoModelForCausalLM.from_pretrained(short_smollm2, dtype="float32").eval()
    tokenizer = AutoTokenizer.from_pretrained(short_smollm2)
    write_gguf(model, tokenizer, tmp_path / "smollm2.gguf", "f16", name="smollm2")
    assert compare_gguf(tmp_path / "smollm2.gguf", model, tokenizer) < 0.02


def test_other_families_and_what_no_file_says_are_refused():
    config = model_of("llama").config
    refuse_unwritten(config, "mine")
    for key, value, why in (
        ("model_type", "mistral", "it is a mistral; written are llama, qwen2, qwen3"),
        ("rope_parameters", {"rope_type": "yarn", "rope_theta": 1e4}, r"scaled \(yarn\)"),
        ("use_sliding_window", True, "a window only"),
        ("hidden_act", "gelu", "gelu, not silu"),
    ):
        changed = type(config).from_dict(config.to_dict())
        setattr(changed, key, value)
        with pytest.raises(EngineError, match=why):
            refuse_unwritten(changed, "mine")


def test_a_tokenizer_that_llama_cpp_would_split_otherwise_is_refused():
    merges = ["a b"]
    level = {"type": "ByteLevel", "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    known = {"type": "BPE", "merges": merges}
    assert way_to_split({"model": known, "pre_tokenizer": level}, "mine") == "gpt-2"
    both = {"type": "Sequence", "pretokenizers": [digits, level]}
    assert way_to_split({"model": known, "pre_tokenizer": both}, "mine") == "smollm"
    together = {"type": "ByteLevel", "use_regex": False}
    for model, split in (
        (known, together),
        (known, digits),
        (known, None),
        ({"type": "Unigram"}, level),
        (known | {"byte_fallback": True}, level),
    ):
        with pytest.raises(EngineError, match=r"in a way that llama\.cpp has no name for"):
            way_to_split({"model": model, "pre_tokenizer": split}, "mine")
    assert way_to_split({"model": known | {"merges": []}, "pre_tokenizer": together}, "") == "gpt-2"
