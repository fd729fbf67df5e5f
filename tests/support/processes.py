"""`tesuji run` in processes of its own, two of them learning together."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

TWO = ["--processes", "2"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
NOT_COMPARED = ("time", "speed", "runtime", "per_second")


def command(recipe: Path, *words: str, launcher: list[str] | None = None) -> list[str]:
    """The command line that runs a recipe, into `runs` beside it."""
    runs = ["--runs", str(recipe.parent / "runs")]
    return [*(launcher or [sys.executable]), "-m", "tesuji", "run", str(recipe), *words, *runs]


def begin(line: list[str]) -> "subprocess.Popen[str]":
    """Start it, with what it says kept."""
    threads = {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.Popen(
        line,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **threads},
    )


def run(line: list[str], code: int = 0) -> tuple[str, str]:
    """Run it to its end; what it said, and what it said of errors."""
    process = begin(line)
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, out[-2000:] + err[-4000:]
    return out, err


def rank_of(pid: int) -> int | None:
    """The rank of a process, where it has one."""
    try:
        words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    return next((int(word[5:]) for word in words if word.startswith(b"RANK=")), None)


def ranks_below(pid: int) -> dict[int, int]:
    """Rank → process, of all that a launcher has started."""
    import psutil

    children = psutil.Process(pid).children(recursive=True)
    return {rank: child.pid for child in children if (rank := rank_of(child.pid)) is not None}


def metrics(run: Path, stage: str) -> list[dict[str, float]]:
    """What a stage has logged, without what depends on the clock."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [
        {key: row[key] for key in row if key != "stage" and not any(n in key for n in NOT_COMPARED)}
        for row in rows
        if row["stage"] == stage
    ]


def furthest(left: Path, right: Path) -> float:
    """The largest difference between the weights that two models have in common."""
    ours, theirs = _weights(left), _weights(right)
    both = ours.keys() & theirs.keys()
    return max(float((ours[name] - theirs[name]).abs().max()) for name in both)


def _weights(folder: Path) -> dict[str, Any]:
    files = sorted(folder.glob("*.safetensors"))
    return {f"{f.name}/{n}": t.to(torch.float32) for f in files for n, t in load_file(f).items()}
