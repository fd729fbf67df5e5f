"""`tesuji run` in processes of its own, two of them learning together."""

import json
import os
import runpy
import socket
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from accelerate.state import AcceleratorState, PartialState
from forked import Forked
from made_recipes import text_of
from safetensors.torch import load_file

TWO = ["--processes", "2"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
NOT_COMPARED = ("time", "speed", "runtime", "per_second")
SAME = 1e-5
SFT_STAGES = """\
  data: {positions: sampled, num_positions: 60, pairs: all, held_out: 0.2}
  sft: {epochs: 1.0, batch_size: 16, learning_rate: 0.003, save_steps: 2, logging_steps: 1,
        eval_steps: 3}
"""
LATER_STAGES = """\
  dpo: {max_steps: 4, batch_size: 6, learning_rate: 0.001, logging_steps: 1, eval_steps: 2,
        gradient_accumulation_steps: 2}
  reward: {max_steps: 4, batch_size: 6, learning_rate: 0.001, logging_steps: 1}
  grpo: {max_steps: 4, batch_size: 24, num_generations: 4, num_mini_batches: 2, beta: 0.05,
         learning_rate: 0.001, logging_steps: 1, entropy_coef: 0.01, eval_steps: 2,
         eval_episodes: 4, play: {opponents: [random, self, snapshot], snapshot_steps: 2,
         failure_replay: {share: 0.5, capacity: 8}}}
  ppo: {max_steps: 3, batch_size: 9, learning_rate: 0.001, logging_steps: 1, kl_in: reward,
        beta: 0.05, target_kl: 0.01, value_grad: 0.3, num_iterations: 2, ema_decay: 0.5,
        rewards: {returns: 1.0, reward_model: 0.1}}
"""
EVALUATION = "{opponents: [random], episodes: 4, positions: 0, before: false}"
CHAIN = text_of("alone", SFT_STAGES + LATER_STAGES, EVALUATION)
LEARNERS = ("sft", "dpo", "reward", "grpo", "ppo")
SFT = text_of("alone", SFT_STAGES, EVALUATION)


def write(folder: Path, text: str = CHAIN) -> Path:
    """A recipe's file in this folder."""
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


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
    try:
        out, err = process.communicate(timeout=300)
    finally:
        process.terminate()  # its processes end with the launcher
    assert process.returncode == code, out[-2000:] + err[-4000:]
    return out, err


class Rank(Forked):
    """One of two processes as torchrun starts them, but for being a fork of this one, which has
    imported already all that takes each of them some seconds."""

    def __init__(self, rank: int, port: int, *words: str) -> None:
        ranks = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "COLUMNS": 200}
        self._told = {name: str(value) for name, value in (ranks | place).items()}
        super().__init__(*words)

    def _become(self, *how: Any) -> NoReturn:
        os.environ.update(self._told)
        for state in (PartialState, AcceleratorState):  # what this process was, alone
            state._reset_state()
        super()._become(*how)


def together(kind: type[Rank], *words: str, code: int = 0) -> tuple[str, str]:
    """Two ranks to their ends; what they said, and what they said of errors."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = [kind(rank, port, *words) for rank in range(2)]
    done = [rank.ended(300) for rank in ranks]
    out, err = ("".join(said) for said in zip(*((d.stdout, d.stderr) for d in done), strict=True))
    codes = {one.returncode for one in done}
    assert codes == {code}, f"{codes}: {out[-2000:]}{err[-4000:]}"
    return out, err


def run_forked(recipe: Path, *words: str, code: int = 0) -> tuple[str, str]:
    """The command that runs a recipe, in two ranks; what starts and watches them is left out."""
    runs = ["distributed.processes=2", "--runs", str(recipe.parent / "runs")]
    return together(Rank, "run", str(recipe), *words, *runs, code=code)


class ScriptRank(Rank):
    """... that runs a script: its path, and what stands behind it on the command line."""

    def _do(self, words: tuple[str, ...]) -> None:
        sys.argv = list(words)
        try:
            runpy.run_path(words[0], run_name="__main__")
        except Exception:
            traceback.print_exc()
            sys.exit(1)
        sys.exit(0)


def in_two_processes(folder: Path, script: str, *arguments: str) -> None:
    """Run a script in two ranks on the CPU, over gloo. (`accelerate launch --cpu` starts one
    process, however many it is asked for.)"""
    path = folder / "two.py"
    path.write_text(script)
    together(ScriptRank, str(path), *arguments)


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


def assert_same_learning(alone: Path, two: Path, stage: str) -> None:
    """A stage of two runs has logged the same figures, and made the same weights of its base; an
    adapter's, of what does nothing."""
    ours, theirs = metrics(alone, stage), metrics(two, stage)
    assert len(ours) == len(theirs) >= 3
    for one, other in zip(ours, theirs, strict=True):
        assert one.keys() == other.keys()
        assert other == pytest.approx(one, rel=SAME, abs=SAME)
    assert furthest(alone / stage / "final", two / stage / "final") < SAME
    final = _weights(two / stage / "final")
    if adapter := [value for name, value in final.items() if "lora_B" in name]:
        moved = max(float(value.abs().max()) for value in adapter)
    else:
        moved = furthest(alone / "base", two / stage / "final")
    assert moved > 10 * SAME, "it has learned"


def furthest(left: Path, right: Path) -> float:
    """The largest difference between the weights that two models have in common."""
    ours, theirs = _weights(left), _weights(right)
    both = ours.keys() & theirs.keys()
    return max(float((ours[name] - theirs[name]).abs().max()) for name in both)


def _weights(folder: Path) -> dict[str, Any]:
    files = sorted(folder.glob("*.safetensors"))
    return {f"{f.name}/{n}": t.to(torch.float32) for f in files for n, t in load_file(f).items()}
