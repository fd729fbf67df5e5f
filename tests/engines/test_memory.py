"""`tesuji estimate` beside the memory that the processes of real runs take: two runs a strategy."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from places import ROOT

pytestmark = pytest.mark.engines
OFF = 0.15  # what docs/scale.md promises


@pytest.fixture(scope="module")
def memory() -> ModuleType:
    """benchmarks/memory.py, which measures."""
    spec = importlib.util.spec_from_file_location("memory", ROOT / "benchmarks" / "memory.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("strategy", ["fsdp_2", "zero2_2", "zero3_2"])
def test_a_model_takes_what_was_estimated(
    memory: ModuleType, strategy: str, tmp_path: Path
) -> None:
    if strategy.startswith("zero"):
        pytest.importorskip("deepspeed", reason="make test-engines installs it")
    libraries, whole = (
        memory.measured(memory.recipe_of(model, strategy, tmp_path), tmp_path)
        for model in ("nothing", "qwen3_27m")
    )
    estimated = memory.estimated(memory.recipe_of("qwen3_27m", strategy, tmp_path))
    assert estimated == pytest.approx(whole - libraries, rel=OFF)
