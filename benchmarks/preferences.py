"""What learning from pairs reaches, seed by seed: the table of docs/lab/008.

    python benchmarks/preferences.py --seeds 1 2 3 [--runs FOLDER]

DPO is that of `tictactoe/tiny-sft-dpo-grpo` (its GRPO is left out: benchmarks/learning.py), the
reward model and PPO those of `poker/tiny`. Without `--seeds` a few steps only, to see that it
works.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from tesuji.pipeline.run import run_recipe
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.schema.recipe import Recipe

SHORT = {"dpo": 3, "reward": 3, "ppo": 2, "sft": 3}
Row = dict[str, Any]


def recipe_of(name: str, seed: int, *, short: bool) -> Recipe:
    """The shipped recipe with this seed, without GRPO."""
    loaded = load_recipe(name, [f"seed={seed}", f"name={name.replace('/', '-')}-{seed}"])
    stages = {k: v for k, v in loaded.stages.items() if k != "grpo"}
    if short:
        for key in SHORT.keys() & stages.keys():
            stages[key] = stages[key].model_copy(update={"max_steps": SHORT[key]})
    looks = loaded.evaluation.model_copy(update={"certificate": False, "before": False})
    return loaded.model_copy(update={"stages": stages, "evaluation": looks})


def percent(share: Row) -> str:
    """`81.6% (74.9-86.9)`."""
    low, high = 100 * share["low"], 100 * share["high"]
    return f"{100 * share['share']:.1f}% ({low:.1f}-{high:.1f})"


def pairs_line(folder: Path, stage: str, figure: str) -> str:
    """Accuracy on held-out pairs, before and after."""
    summary = json.loads(next(folder.glob(f"stages/*-{stage}/training.json")).read_text())
    before, after = summary["accuracy_before"], summary["accuracy_after"]
    return (
        f"{summary['steps']} steps on {summary['pairs']:,} pairs, {summary['seconds']:.0f} s: "
        f"{percent(before[figure])} -> {percent(after[figure])} of {after['pairs']:,} held out"
    )


def ppo_line(folder: Path) -> str:
    """Mean held-out reward, and the KL from the start against its target."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row["stage"] == "ppo"]
    looks = [row["eval/held_out_reward"] for row in rows if "eval/held_out_reward" in row]
    kls = [row["kl"] for row in rows if "kl" in row]
    last = kls[len(kls) // 2 :]
    illegal = [row["illegal_moves"] for row in rows if "illegal_moves" in row]
    return (
        f"{len(kls)} steps: held-out reward {looks[0]:.3f} -> {looks[-1]:.3f}, KL a token "
        f"{sum(last) / len(last):.3f} over the second half (largest {max(kls):.3f}), "
        f"illegal replies {illegal[0]:.1%} -> {illegal[-1]:.1%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="+", default=[])
    parser.add_argument("--runs", type=Path)
    args = parser.parse_args()
    root, short = args.runs or Path(tempfile.mkdtemp()), not args.seeds
    for seed in args.seeds or [1]:
        folder = run_recipe(
            recipe_of("tictactoe/tiny-sft-dpo-grpo", seed, short=short), root
        ).folder
        print(f"dpo    seed {seed}: {pairs_line(folder, 'dpo', 'policy_preference')}", flush=True)
        folder = run_recipe(recipe_of("poker/tiny", seed, short=short), root).folder
        print(f"reward seed {seed}: {pairs_line(folder, 'reward', 'accuracy')}", flush=True)
        print(f"ppo    seed {seed}: {ppo_line(folder)}", flush=True)


if __name__ == "__main__":
    main()
