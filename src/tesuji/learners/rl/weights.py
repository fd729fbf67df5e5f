"""Weights as plain dictionaries of tensors: copies to go back to, averages, files.

A copy of an adapter, or of a whole model, is swapped in for a while and out again, bit for bit;
nothing is ever merged and unmerged.
"""

import contextlib
import copy
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from tesuji.core.errors import DataError
from tesuji.core.files import atomic_path
from tesuji.players.sampling.support_check import know_copy

Weights = dict[str, Tensor]


def copy_of(module: nn.Module) -> Weights:
    """The module's trainable parameters, copied."""
    return {n: p.detach().clone() for n, p in module.named_parameters() if p.requires_grad}


def frozen_copy(module: nn.Module) -> nn.Module:
    """A second module that nobody trains: the trained parameters once more, the frozen ones (under
    an adapter all of the base) shared with the first."""
    shared = {id(p): p for p in module.parameters() if not p.requires_grad}
    copied = copy.deepcopy(module, shared).requires_grad_(False)
    know_copy(copied, module)
    return copied


@torch.no_grad()
def put_into(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Overwrite the module's parameters of these names."""
    parameters = dict(module.named_parameters())
    for name, value in weights.items():
        parameters[name].copy_(value)


@contextlib.contextmanager
def swapped(module: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside, the module computes with `weights`; afterwards with its own again."""
    parameters = dict(module.named_parameters())
    kept = {name: parameters[name].data for name in weights}
    for name, value in weights.items():
        parameters[name].data = value
    try:
        yield
    finally:
        for name, value in kept.items():
            parameters[name].data = value


@torch.no_grad()
def move_towards(weights: Weights, module: nn.Module, share: float) -> None:
    """weights ← (1 - share) * weights + share * the module's, in place."""
    for name, parameter in module.named_parameters():
        if name in weights:
            weights[name].lerp_(parameter.detach().to(weights[name].dtype), share)


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as one safetensors file, whole or not at all."""
    from safetensors.torch import save_file

    with atomic_path(path) as aside:
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, aside
        )


def load_tensors(path: Path, device: torch.device | str = "cpu") -> Weights:
    """Read what `save_tensors` wrote. Raises DataError when it cannot be read."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path, device=str(device))
    except (OSError, SafetensorError) as error:
        raise DataError(f"cannot read these weights: {error}", where=str(path)) from error
