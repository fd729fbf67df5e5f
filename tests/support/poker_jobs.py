"""poker/tiny cut to a few steps (logs, SFT, reward model, PPO), and what it comes to here: what a
machine elsewhere has to come to as well, byte for byte."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from places import RECIPES

SHORT = {
    "name": "poker-short",
    "model.tiny.hidden_size": 32,
    "model.tiny.num_hidden_layers": 1,
    "stages.logs.make.games": 16,
    "stages.sft.max_steps": 6,
    "stages.sft.logging_steps": 2,
    "stages.reward.max_steps": 4,
    "stages.reward.logging_steps": 2,
    "stages.ppo.max_steps": 3,
    "stages.ppo.batch_size": 8,
    "stages.ppo.eval_steps": 3,
    "stages.ppo.save_steps": 1,
    "stages.ppo.logging_steps": 1,
    "evaluation.each_stage": "false",
    "evaluation.before": "false",
    "evaluation.rows": 8,
    "evaluation.beside": "[]",
    "evaluation.opponents": "[always_call]",
    "evaluation.episodes": 6,
}
RECIPE = str(RECIPES / "poker" / "tiny.yaml")
CHANGES = [f"{key}={value}" for key, value in SHORT.items()]


def run_here(folder: Path) -> Path:
    """Run it on this machine; its run folder."""
    words = [sys.executable, "-m", "tesuji", "run", RECIPE, *CHANGES, "--runs", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, env=_one_thread(), check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return folder / SHORT["name"]


def _one_thread() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def weights(run: Path) -> dict[str, str]:
    """The digest of each file of final weights, by its path in the run folder."""
    files = sorted(run.glob("stages/*/final/*.safetensors"))
    return {str(f.relative_to(run)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
