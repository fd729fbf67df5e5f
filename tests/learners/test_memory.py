"""Memory that runs out is one message, whatever the device calls it; no other error is."""

import pytest
import torch

from tesuji.core.errors import EngineError
from tesuji.learners.model.memory import telling_memory


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        MemoryError(),
    ],
)
def test_every_device_s_words_are_known(error: Exception):
    with (
        pytest.raises(EngineError, match="out of memory while reading"),
        telling_memory("while reading"),
    ):
        raise error


def test_any_other_error_is_left_alone():
    with pytest.raises(RuntimeError, match="shapes differ"), telling_memory("while reading"):
        raise RuntimeError("shapes differ")
