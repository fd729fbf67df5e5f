"""Shapes of models that need not be downloaded to be counted, and how much memory GPUs have.

Shapes: each model's own config.json on the Hugging Face Hub, as torchtune's model builders have
them too (pytorch/torchtune, `models/qwen2_5`, `models/qwen3`, `models/llama3_1`). GPUs: as they are
sold, written down on 2026-11-30.
"""

from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from tesuji.core.errors import EngineError, first_line
from tesuji.learners.model.inspect import ModelFacts, inspect_model
from tesuji.learners.model.load import load_tokenizer
from tesuji.learners.model.sources import KNOWN, gguf_of
from tesuji.learners.model.tiny import build_tokenizer
from tesuji.recipe.schema.sections import ModelSection

GPUS: Mapping[str, int] = {  # 10^9 bytes, as sold
    "T4": 16, "L4": 24, "A10": 24, "RTX-4090": 24, "RTX-5090": 32, "A100-40GB": 40, "A40": 48,
    "L40S": 48, "A100-80GB": 80, "H100": 80, "H100-PCIe": 80,
    "RTX-PRO-6000": 96, "H200": 141, "B200": 180,
}  # fmt: skip
NO_BFLOAT16 = ("T4",)

_Shape = tuple[str, int, int, int, int, int, int, int, bool]
SHAPES: Mapping[str, _Shape] = {  # kind, hidden, wide, layers, heads, groups, of each, words, tied
    "Qwen/Qwen2.5-0.5B": ("qwen2", 896, 4864, 24, 14, 2, 64, 151_936, True),
    "Qwen/Qwen2.5-1.5B": ("qwen2", 1536, 8960, 28, 12, 2, 128, 151_936, True),
    "Qwen/Qwen2.5-7B": ("qwen2", 3584, 18_944, 28, 28, 4, 128, 152_064, False),
    "Qwen/Qwen3-0.6B": ("qwen3", 1024, 3072, 28, 16, 8, 128, 151_936, True),
    "Qwen/Qwen3-4B": ("qwen3", 2560, 9728, 36, 32, 8, 128, 151_936, True),
    "meta-llama/Llama-3.1-8B": ("llama", 4096, 14_336, 32, 32, 8, 128, 128_256, False),
}
CONTEXT = 32_768  # tokens, of all of these at least


def facts_of(section: ModelSection, config: Path | None = None) -> tuple[ModelFacts, str]:
    """What is known of the recipe's model without its weights, and where from ("" where the model
    is here). Raises EngineError where nothing is."""
    if config is not None:
        return _with_stand_in(section, config_in(config), str(config))
    known = shape_of(section.base)
    with suppress(EngineError) if known else nullcontext():  # such as: a licence to accept first
        if (facts := inspect_model(section, section.base)) is not None:
            return facts, ""
    if known is None:
        raise EngineError(
            f"{section.base} is not here, and its shape is not known",
            where="model.base",
            hint="download its config.json, and name it with --config",
        )
    return _with_stand_in(section, known, "its published shape")


def shape_of(name: str) -> Any:
    """The configuration of a known model; None of another."""
    from transformers import AutoConfig

    shape = SHAPES.get(name.removesuffix("-Instruct"))
    if shape is None:
        return None
    kind, hidden, wide, depth, heads, groups, width, words, tied = shape
    return AutoConfig.for_model(
        kind,
        hidden_size=hidden,
        intermediate_size=wide,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        head_dim=width,
        vocab_size=words,
        tie_word_embeddings=tied,
        max_position_embeddings=CONTEXT,
    )


def config_in(path: Path) -> Any:
    """The configuration in a config.json, or in a folder with one."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(path.parent if path.is_file() else path)
    except Exception as error:  # a foreign file: whatever transformers raises is its fault
        raise EngineError(
            f"no model's configuration: {first_line(error)}",
            where=str(path),
            hint="--config takes a model's config.json, or its folder",
        ) from error


def _with_stand_in(section: ModelSection, config: Any, known: str) -> tuple[ModelFacts, str]:
    """Its tokens are counted with SmolLM2's tokenizer, where that is here, or as bytes."""
    name = next((name for name in KNOWN if gguf_of(name) is not None), None)
    tokenizer = load_tokenizer(section, name, here=True) if name else build_tokenizer()
    words = f"{known}; tokens counted {'by ' + name if name else 'as bytes'}"
    return ModelFacts(section.base, config, tokenizer), words
