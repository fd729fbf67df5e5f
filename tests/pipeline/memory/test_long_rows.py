"""What a dry run and `tesuji estimate` say of long rows, beside what a process was seen to take
above its libraries."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WORDS = 260  # of a prompt: some 1,200 tokens

MEASURED = """
import gc, json, sys, time
from pathlib import Path
import peft, tesuji.learners.pairs.trl_trainers, tesuji.learners.sft.soft_targets
import tesuji.pipeline.forecast.forecast as module
import tesuji.pipeline.forecast.measure as measuring
from tesuji.pipeline import run
from tesuji.pipeline.forecast.measure import _forget_peak, _peak
from tesuji.pipeline.memory.estimate import estimate_recipe
from tesuji.pipeline.plan import make_plan
from tesuji.recipe.reading.load import load_recipe

module.MOST, measuring.BUDGET = 120.0, 20.0  # however slow the machine
recipe, runs, found = load_recipe(sys.argv[1]), Path(sys.argv[2]), {}
_, phases, _ = estimate_recipe(recipe, runs)
for phase in phases:
    found[phase.name] = {"estimated": phase.total}
for one in module.forecast(recipe, make_plan(recipe, runs / recipe.name), runs / recipe.name):
    if one.step.name in found:
        found[one.step.name]["forecast"] = one.memory
run_step = run.run_step

def watched(step, *rest):
    gc.collect()
    status = Path("/proc/self/status").read_text().split("VmRSS:")[1]
    before = 1024.0 * int(status.split()[0])
    _forget_peak()
    run_step(step, *rest)
    if step.name in found:
        found[step.name]["measured"] = _peak() - before

run.run_step = watched
run.run_recipe(recipe, runs)
print("FOUND", json.dumps(found))
"""


def write_rows(folder: Path) -> dict[str, str]:
    """Rows and pairs of prompts that are long and have nothing in common: the files' paths."""
    said = [" ".join(str((n * 7919 + k * 104729) % 9973) for k in range(WORDS)) for n in range(8)]
    rows = [{"prompt": words, "completion": "yes"} for words in said]
    pairs = [{"prompt": words, "chosen": "yes", "rejected": "no"} for words in said]
    paths = {}
    for name, some in (("sft", rows), ("dpo", pairs)):
        path = folder / f"{name}.jsonl"
        path.write_text("".join(f"{json.dumps(row)}\n" for row in some))
        paths[name] = str(path)
    return paths


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are Linux's")
def test_long_rows_take_what_was_told(short_smollm2: Path, tmp_path: Path) -> None:
    """Two steps of SFT and DPO under LoRA, in a process whose freed blocks are given back."""
    paths = write_rows(tmp_path)
    stage = {"max_steps": 2, "batch_size": 2, "learning_rate": 1e-5}
    recipe = {
        "name": "long",
        "game": "tic_tac_toe",
        "model": {"base": str(short_smollm2), "lora": {"r": 16}, "device": "cpu"},
        "stages": {name: {"data": path, **stage} for name, path in paths.items()},
        "evaluation": {"before": False, "episodes": 1, "positions": 0},
        "sampling": {"max_new_tokens": 4},
    }
    file = tmp_path / "long.yaml"
    file.write_text(json.dumps(recipe))
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(file), str(tmp_path / "runs")],
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.split("FOUND")[1])
    for name in paths:
        took = found[name]["measured"]
        assert 0.75 * took < found[name]["estimated"] < 1.35 * took, found
        assert 0.7 * took < found[name]["forecast"] < 1.6 * took, found
