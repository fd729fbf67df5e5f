"""mafia/tiny cut to a few steps, over made logs: what it comes to here and elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

from tesuji.logs.synthetic.make import make_logs

SHORT = {
    "name": "mafia-short",
    "model.tiny.hidden_size": 32,
    "model.tiny.num_hidden_layers": 1,
    "stages.sft.max_steps": 4,
    "stages.sft.logging_steps": 2,
    "stages.dpo.max_steps": 3,
    "stages.dpo.logging_steps": 1,
    "stages.dpo.batch_size": 2,
    "evaluation.game": "null",
    "evaluation.beside": "[]",
    "evaluation.opponents": "[random]",
    "evaluation.each_stage": "false",
    "evaluation.rows": 6,
    "evaluation.episodes": 2,
}
CHANGES = [f"{key}={value}" for key, value in SHORT.items()]
LOGS = "my_logs"


def write_logs(folder: Path, games: int = 12) -> Path:
    """Made logs with the faults of real ones, in a folder of a user's name."""
    make_logs("mafia", folder / LOGS, games=games, seed=5, traps=True)
    return folder / LOGS


def tesuji(folder: Path, *words: str, code: int = 0) -> str:
    """`tesuji ...` in this folder; what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "tesuji", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        timeout=300,
    )
    said = done.stdout + done.stderr
    assert done.returncode == code, said[-6000:]
    return said
