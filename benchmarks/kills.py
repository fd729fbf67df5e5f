"""Does a chain killed at random moments end as one that was never killed?

    python benchmarks/kills.py --kills 30 --seed 1

Runs data, SFT, DPO and GRPO of tictactoe/tiny-sft-dpo-grpo (smaller, with a checkpoint every other
step) once to its end, and once with `kill -9` at random moments, each time begun again. Prints how
many kills there were in which stage, and every file and logged metric that differs; exits 1 if any
does. Times, and what tells them, are left out of the comparison.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from tesuji.pipeline.run import run_recipe
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.schema.recipe import Recipe

RECIPE = Path(__file__).parents[1] / "recipes/tictactoe/tiny-sft-dpo-grpo.yaml"
TELL_TIME = ("time", "seconds", "speed/", "tokens_per_second", "runtime", "created", "updated")
KEPT = ("*.safetensors", "*.jsonl", "evaluation.json", "state.json")


def chain() -> Recipe:
    """The shipped recipe, small, with checkpoints close together."""
    plain = load_recipe(str(RECIPE)).model_dump(mode="json")
    plain["name"] = "chain"
    plain["model"]["tiny"] |= {"hidden_size": 32, "num_hidden_layers": 1}
    stages = plain["stages"]
    stages["data"] |= {"positions": "sampled", "num_positions": 200, "held_out_from": "all"}
    for name in ("sft", "dpo", "grpo"):
        stages[name] |= {"max_steps": 40, "batch_size": 16, "save_steps": 2, "logging_steps": 1}
    stages["grpo"] |= {"stop_when": "never", "max_steps": 20}
    plain["evaluation"] |= {"opponents": [{"player": "random"}], "episodes": 20, "positions": 50}
    return Recipe.model_validate(plain)


def child(root: Path) -> int:
    """Run the chain in a process of its own, to its end; its number."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            run_recipe(chain(), root)
            status = 0
        finally:
            os._exit(status)  # in no case go on as a second copy of this program
    return pid


def marks(root: Path) -> set[Path]:
    """What shows how far the chain is: begun and finished stages, and checkpoints."""
    stages = root / "chain/stages"
    return {*stages.glob("*/*.json"), *stages.glob("*/checkpoints/*")}


def killed(root: Path, known: set[Path], seconds: float) -> str | None:
    """The stage at work when a child was killed, so long after it had come further than what is
    `known`; None where it came to its end."""
    pid, due = child(root), float("inf")
    while time.monotonic() < due:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            if status:
                sys.exit(f"the run failed with status {status}")
            return None
        if due == float("inf") and marks(root) - known:
            due = time.monotonic() + seconds
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    known |= marks(root)
    return max(path.parent.name for path in root.glob("chain/stages/*/started.json"))


def what_stays(run: Path) -> dict[str, Any]:
    """Every file that counts, and the metrics by stage and step."""
    stages = run / "stages"
    files = (path for kind in KEPT for path in stages.rglob(kind) if path.is_file())
    found: dict[str, Any] = {str(p.relative_to(run)): _content(p) for p in files}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        found[f"metrics {row['stage']} {row['step']} {sorted(row)}"] = _timeless(row)
    return found


def _content(path: Path) -> Any:
    return _timeless(json.loads(path.read_text())) if path.suffix == ".json" else path.read_bytes()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        tells = {key for key in value if any(word in key for word in TELL_TIME)}
        return {key: _timeless(item) for key, item in value.items() if key not in tells}
    return [_timeless(item) for item in value] if isinstance(value, list) else value


def main() -> None:
    """Run both, compare, print."""
    parser = argparse.ArgumentParser(description="see the head of this file")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, torn = Path(folder, "whole"), Path(folder, "torn")
        began = time.monotonic()
        os.waitpid(child(whole), 0)
        length = time.monotonic() - began
        kills: Counter[str] = Counter()
        known: set[Path] = set()
        while kills.total() < options.kills:
            stage = killed(torn, known, draw.uniform(0.0, length / options.kills / 2))
            if stage is None:
                break
            kills[stage] += 1
        os.waitpid(child(torn), 0)
        one, other = what_stays(whole / "chain"), what_stays(torn / "chain")
    differ = [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
    print(f"never killed: {length:.0f} s; kills: {kills.total()}, {dict(sorted(kills.items()))}")
    words = [f"{name}{' (only in one)' * ((name in one) != (name in other))}" for name in differ]
    print(f"{len(one)} files and metric lines compared; {len(differ)} differ", *words, sep="\n  ")
    sys.exit(bool(differ or kills.total() < options.kills))


if __name__ == "__main__":
    main()
