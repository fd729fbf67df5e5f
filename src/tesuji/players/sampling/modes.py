"""The mode a model computes in: without dropout always, in train mode where it is updated.

Replies are sampled and scored in eval mode. An update is computed in train mode, for only there
gradient checkpointing works, but with every dropout off: the log-probs it compares with are those
that were sampled with.
"""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from torch import nn

NOISE = re.compile("drop|jitter")  # attention_dropout, resid_pdrop, layerdrop, router_jitter_noise


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode inside, and every module as it was afterwards."""
    with _mode(module, training=False):
        yield


@contextlib.contextmanager
def updating(module: nn.Module) -> Iterator[None]:
    """Train mode inside with all that is random off: dropout modules (LoRA's too), rates that
    layers keep or read from a configuration, noise in routers. Afterwards all is as it was."""
    rates = list(_rates(module))
    for holder, name, _ in rates:
        setattr(holder, name, 0.0)
    try:
        with _mode(module, training=True):
            yield
    finally:
        for holder, name, rate in rates:
            setattr(holder, name, rate)


@contextlib.contextmanager
def _mode(module: nn.Module, *, training: bool) -> Iterator[None]:
    others = [part for part in module.modules() if part.training is not training]
    module.train(training)
    try:
        yield
    finally:
        for part in others:
            part.training = not training


def _rates(module: nn.Module) -> Iterator[tuple[Any, str, float]]:
    """Whoever holds a rate above 0 of something random, the rate's name, and the rate."""
    configs: dict[int, Any] = {}
    for part in module.modules():
        if isinstance(part, nn.modules.dropout._DropoutNd) and part.p:
            yield part, "p", part.p
        yield from _named_rates(part)
        _collect(getattr(part, "config", None), configs)
    for config in configs.values():
        yield from _named_rates(config)


def _named_rates(holder: Any) -> Iterator[tuple[Any, str, float]]:
    for name, rate in vars(holder).items():
        if isinstance(rate, float) and rate > 0 and NOISE.search(name):
            yield holder, name, rate


def _collect(config: Any, configs: dict[int, Any]) -> None:
    """A model's configuration and those inside it."""
    from transformers import PretrainedConfig

    if isinstance(config, PretrainedConfig) and id(config) not in configs:
        configs[id(config)] = config
        for inner in vars(config).values():
            _collect(inner, configs)
