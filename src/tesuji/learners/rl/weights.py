"""Weights as plain dictionaries of tensors: copies to go back to, averages.

A copy of an adapter, or of a whole model, is swapped in for a while and out again, bit for bit;
nothing is ever merged and unmerged.
"""

import contextlib
import copy
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from tesuji.learners.optimizer_state import in_parts_like
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
        parameters[name].copy_(in_parts_like(parameters[name], value))


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
