"""The table of docs/scale.md is what the code says."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from places import ROOT

from tesuji.learners.model.sources import gguf_of

PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def memory() -> ModuleType:
    """benchmarks/memory.py, whose command makes the table."""
    spec = importlib.util.spec_from_file_location("memory", ROOT / "benchmarks" / "memory.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_recipe_of_a_large_model_stands_in_the_table(memory: ModuleType):
    rows = re.findall(r"^\| `(\w+/[\w-]+)` \|", PAGE, re.MULTILINE)
    assert rows == memory.large_recipes()


@pytest.mark.parametrize("name", ["openspiel/ppo-lora-16gb"])
def test_a_row_is_what_is_estimated_now(memory: ModuleType, name: str):
    if gguf_of("smollm2") is None:
        pytest.skip("tokens were counted with SmolLM2's tokenizer; `make install` has it")
    assert memory.row(name) in PAGE


STRATEGIES = {
    "one": "one process",
    "ddp_2": "2 processes, `ddp`",
    "fsdp_2": "2 processes, `fsdp`",
    "zero2_2": "2 processes, `zero2`",
    "zero3_2": "2 processes, `zero3`",
}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_was_measured_stands_beside_what_is_estimated_now(
    memory: ModuleType, strategy: str, tmp_path: Path
):
    """Of the smallest model; `tests/engines/test_memory.py` measures it again."""
    table = PAGE[PAGE.index("| model | strategy |") :]
    words = re.escape(STRATEGIES[strategy])
    measured, estimated, ratio = re.search(
        rf"{words} \| ([\d,]+) MB \| ([\d,]+) MB \| ([\d.]+) \|", table
    ).groups()
    said = memory.estimated(memory.recipe_of("qwen3_27m", strategy, tmp_path)) / 1e6
    assert f"{said:,.0f}" == estimated
    assert abs(said / int(measured.replace(",", "")) - float(ratio)) < 0.01
