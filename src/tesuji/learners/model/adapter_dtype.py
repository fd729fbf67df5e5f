"""LoRA adapters that compute in the type of what goes through them.

On a base in bfloat16, PEFT keeps adapters in float32 and casts every activation to float32 in front
of them and back behind them. Here the weights are cast instead, which are far smaller: they stay in
float32, where an optimizer's small steps are not lost, and each product is in the base's type.
"""

from typing import Any

import torch
from torch import Tensor, nn


class LinearInInputDtype(nn.Linear):
    """A linear map of float32 weights that computes in its input's type."""

    def forward(self, input: Tensor) -> Tensor:
        """As nn.Linear does with its weights in that type."""
        bias = None if self.bias is None else self.bias.to(input.dtype)
        return nn.functional.linear(input, self.weight.to(input.dtype), bias)


def compute_in_base_dtype(model: Any) -> Any:
    """The model, its adapters (those it has now) computing in the type of the layers that they
    stand at. A base in float32 stays as it is."""
    from peft.tuners.lora import LoraLayer

    for layer in model.modules():
        if not isinstance(layer, LoraLayer):
            continue
        parts = [*layer.lora_A.values(), *layer.lora_B.values()]
        weight = getattr(layer.get_base_layer(), "weight", None)  # experts have several, fused
        whole = weight is None or weight.dtype == torch.float32
        if whole or not parts or any(type(part) is not nn.Linear for part in parts):
            continue
        layer.cast_input_dtype_enabled = False
        for part in parts:
            part.__class__ = LinearInInputDtype  # the same parameters, for who holds them already
    return model
