"""What is read from a configuration before a model is tried, and what trying it costs."""

import pytest
from families import family_model
from transformers import (
    GPTNeoConfig,
    Llama4TextConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    Qwen2Config,
    RecurrentGemmaConfig,
)

from tesuji.players.sampling.support import windows_of
from tesuji.players.sampling.support_check import support_of

WINDOWED = {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1}


@pytest.mark.parametrize(
    ("config", "widths"),
    [
        (LlamaConfig(), []),
        (MistralConfig(), [4096]),
        (MistralConfig(sliding_window=None), []),
        (MistralConfig(sliding_window=512, max_position_embeddings=512), []),
        (Qwen2Config(num_hidden_layers=2, **WINDOWED), [16]),
        (Qwen2Config(num_hidden_layers=2), []),
        (GPTNeoConfig(), [256]),
        (Llama4TextConfig(), [8192]),
        (RecurrentGemmaConfig(), [2048]),
    ],
    ids=lambda value: getattr(value, "model_type", None),
)
def test_windows_are_read_from_the_configuration(config: PreTrainedConfig, widths: list[int]):
    assert windows_of(config) == widths


def test_the_check_reads_few_tokens_and_is_done_once():
    model = family_model("qwen3")
    read = []
    model.register_forward_pre_hook(
        lambda module, arguments, keywords: read.append(keywords["input_ids"].numel()),
        with_kwargs=True,
    )
    assert support_of(model).shared
    assert support_of(model).in_words() == "common beginnings are read once"
    assert 0 < sum(read) < 250
    before = len(read)
    assert support_of(model).shared
    assert len(read) == before
