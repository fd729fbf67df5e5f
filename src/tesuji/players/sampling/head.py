"""A language model in two parts: its layers, and its head from hidden states to logits.

The head is the model's own code, with whatever it does to the logits: a cap (Gemma 2), a scale
(Cohere, Granite, Falcon-H1), a bias. Only the layers are left out of the call.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor


def whole(model: Any) -> Any:
    """The model without the wrapping of an adapter; the adapter stays in it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def layers(model: Any) -> Any:
    """The stack of layers without the head, adapters included: what the head's input comes from."""
    base = whole(model)
    inner = getattr(base, base.base_model_prefix, None)
    inner = base.model if inner is None else inner
    return getattr(inner, "decoder", inner)  # OPT has its layers one deeper


def own_logits(model: Any, hidden: Tensor) -> Tensor:
    """Logits [T, V] of hidden states [T, D] by the model's own head."""
    ids = torch.zeros(1, len(hidden), dtype=torch.long, device=hidden.device)
    with answering(layers(model), hidden.unsqueeze(0)):
        logits: Tensor = whole(model)(input_ids=ids).logits[0]
    return logits


class _Answer:
    """What the layers return: these hidden states, and None for everything else."""

    def __init__(self, hidden: Tensor) -> None:
        self.last_hidden_state = hidden

    def __getitem__(self, place: Any) -> Any:
        return (self.last_hidden_state,)[place]

    def __getattr__(self, name: str) -> None:
        return None


@contextlib.contextmanager
def answering(module: Any, hidden: Tensor) -> Iterator[None]:
    """Inside, the layers compute nothing: whatever they are given, they return these states."""
    with forwarding(module, lambda *arguments, **keywords: _Answer(hidden)):
        yield


@contextlib.contextmanager
def forwarding(module: Any, forward: Callable[..., Any]) -> Iterator[None]:
    """`forward` in the place of the module's own inside."""
    kept = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if kept is None:
            del module.forward  # the class's own is seen again
        else:
            module.forward = kept
