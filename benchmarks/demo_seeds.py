"""The demo with several seeds: how long until the model cannot be beaten, and what it never saw.

    python benchmarks/demo_seeds.py --seeds 1 2 3

Runs `recipes/tictactoe/tiny.yaml` in a temporary folder, each seed in a process of its own (as
`make demo` does), and reads what the runs wrote. There is no peer to compare with: the figures are
the demo's own promise, a certificate within two minutes.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tesuji.core.files import read_json
from tesuji.evaluation.results import load_evaluation


def run(seed: int, folder: Path) -> tuple[float, Path]:
    command = [sys.executable, "-m", "tesuji", "run", "tictactoe/tiny", f"seed={seed}"]
    started = time.perf_counter()
    subprocess.run([*command, f"name=seed-{seed}"], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started, folder / "runs" / f"seed-{seed}" / "stages"


def describe(seed: int, seconds: float, stages: Path) -> bool:
    training = read_json(stages / "02-sft" / "training.json")
    after = load_evaluation(stages / "03-after" / "evaluation.json")
    lines = sum(certificate.lines for certificate in after.certificates)
    lost = sum(certificate.losses for certificate in after.certificates)
    shares = {score.split: score.optimal / score.positions for score in after.positions}
    unseen = next(score.positions for score in after.positions if score.split == "held_out")
    print(
        f"seed {seed}: {seconds:.0f} s in all, {training['seconds']:.0f} s and "
        f"{training['steps']} steps of training; {lost} of {lines} lines lost; optimal moves "
        f"{shares['trained']:.1%} seen, {shares['held_out']:.1%} of {unseen} never seen",
        flush=True,
    )
    return lost == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    seeds = parser.parse_args().seeds
    longest, held = 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            seconds, stages = run(seed, Path(folder))
            held += describe(seed, seconds, stages)
            longest = max(longest, seconds)
    print(f"demo_longest_seconds: {longest:.0f}")
    print(f"demo_certificates: {held} of {len(seeds)}")


if __name__ == "__main__":
    main()
