"""Weights made whole, whoever has parted them: ZeRO-3 or FSDP2.

with whole_weights(model):      # in every process at the same moment
    sampler.sample(...)         # inside, each process has all weights and waits for nobody
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from tesuji.learners import fsdp, zero


@contextlib.contextmanager
def whole_weights(*models: Any) -> Iterator[None]:
    """Inside, every process has all weights of these models, and a forward pass calls no other
    process. What is written to them is lost."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(zero.gathered(*models))
        for model in models:
            stack.enter_context(fsdp.gathered(model))
        yield
