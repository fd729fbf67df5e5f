"""The type of a model's numbers where the recipe leaves it to the machine (`dtype: auto`).

What it simplifies: bfloat16 is taken wherever the processor has instructions for it; how fast they
are is not measured.
"""

from typing import Any

from tesuji.learners.model.rules import TINY
from tesuji.recipe.schema.sections import ModelSection


def dtype_of(section: ModelSection, device: str, parameters: int | None = None) -> Any:
    """The weights' type: as the recipe says, else bfloat16 where the device computes in it, which
    on a CPU pays for a model that is not tiny (of so many `parameters`; None: of many)."""
    import torch

    if section.dtype != "auto":
        return getattr(torch, section.dtype)
    if device == "cpu":
        fast = computes_bfloat16() and (parameters is None or parameters >= TINY)
    else:
        fast = device == "cuda" and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def computes_bfloat16() -> bool:
    """Whether this machine's CPU has instructions for bfloat16 (AVX512_BF16, AMX). On others it is
    emulated, and slower than float32."""
    import torch

    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # torch has nothing public
    return any(getattr(torch.cpu, name, bool)() for name in asked)


def parameters_of(config: Any) -> int:
    """How many numbers a causal model of this configuration is made of; none of them is made."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return sum(parameter.numel() for parameter in model.parameters())
