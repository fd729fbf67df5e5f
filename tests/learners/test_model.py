"""Models: built from a shape, loaded from a folder, refused with advice."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import SHAPE, flat, tiny_policy

from tesuji.core.errors import EngineError, RecipeError
from tesuji.learners.model.adapter import with_adapter
from tesuji.learners.model.load import load_policy, prepare_base
from tesuji.learners.model.tiny import build_model, build_tokenizer
from tesuji.recipe.schema.sections import LoraSection, ModelSection, TinyModel


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_the_byte_tokenizer_reads_and_writes_any_text(text: str):
    tokenizer = build_tokenizer()
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert tokenizer.decode(ids) == text.encode("utf-8", "replace").decode()


def test_the_same_seed_builds_the_same_model_and_leaves_the_global_stream_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert torch.equal(flat(build_model(SHAPE, 1)), flat(build_model(SHAPE, 1)))
    assert not torch.equal(flat(build_model(SHAPE, 1)), flat(build_model(SHAPE, 2)))
    assert torch.equal(before, torch.get_rng_state())


def test_an_odd_head_size_is_refused_before_anything_is_built(tmp_path: Path):
    odd = ModelSection(tiny=TinyModel(hidden_size=12, num_attention_heads=4, num_key_value_heads=4))
    with pytest.raises(RecipeError, match="even"):
        prepare_base(odd, tmp_path, 1)


def test_an_unknown_lora_target_is_one_clear_message(tmp_path: Path):
    with pytest.raises(EngineError, match="target"):
        with_adapter(tiny_policy(), LoraSection(target_modules=["nosuch"]))


def test_a_model_that_is_not_there_says_what_to_do(tmp_path: Path):
    section = ModelSection(base=str(tmp_path / "nothing"))
    with pytest.raises(EngineError, match="cannot load") as caught:
        load_policy(section, section.base)
    assert "local folder" in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(EngineError, match=r"config\.json"):
        load_policy(section, str(tmp_path / "empty"))


def test_four_bit_without_a_gpu_is_one_clear_message(tmp_path: Path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    section = ModelSection(tiny=SHAPE, lora=LoraSection(), load_in_4bit=True)
    folder = prepare_base(section, tmp_path / "base", 1)
    with pytest.raises(EngineError, match="bitsandbytes"):
        load_policy(section, folder)


def test_a_device_that_is_not_here_is_refused():
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(EngineError, match="no cuda device"):
        load_policy(ModelSection(device="cuda"), "anything")


def test_a_fresh_adapter_follows_from_the_seed_alone() -> None:
    made = []
    for noise, seed in ((1, 5), (2, 5), (2, 6)):
        torch.manual_seed(noise)
        after = torch.random.get_rng_state()
        model = with_adapter(tiny_policy(), LoraSection(), seed).model
        assert torch.equal(torch.random.get_rng_state(), after), "nobody else's numbers are drawn"
        made.append([p for n, p in model.named_parameters() if "lora_A" in n])
    first, again, other = made
    assert all(map(torch.equal, first, again)) and not all(map(torch.equal, first, other))
