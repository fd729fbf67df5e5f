"""What the learning recipes reach, seed by seed: the tables of docs/lab/002 to 004.

    python benchmarks/learning.py tictactoe/tiny-grpo --seeds 1 2 3

Runs the recipe once a seed into a temporary folder (or `--runs FOLDER`, to keep and resume it) and
prints one line each: steps, minutes of training, the certificate or the exploitability. Not part of
`make bench` by default: without arguments it runs a few steps only, to see that it works.
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tesuji.core.run_folder import find_run
from tesuji.evaluation.matches.against import ALONE
from tesuji.evaluation.results import MatchScore, load_evaluation
from tesuji.pipeline.run import Outcome, run_recipe
from tesuji.recipe.reading.load import load_recipe

SHORT = ["stages.grpo.max_steps=3", "evaluation.episodes=2", "evaluation.positions=50"]


def line(recipe: str, seed: int, outcome: Outcome, seconds: float) -> str:
    """One row: what the last stage did, and what the evaluation after it evaluation."""
    evaluation = outcome.after
    assert evaluation is not None
    stages = sorted(find_run(str(outcome.folder)).glob("stages/*/training.json"))
    training = json.loads(stages[-1].read_text())
    parts = [f"{recipe} seed {seed}: {training['steps']} steps, {training['seconds'] / 60:.1f} min"]
    for proof in evaluation.certificates:
        parts.append(f"as {proof.role} loses {proof.losses} of {proof.lines} lines")
    if evaluation.exploitability is not None:
        measured = evaluation.exploitability
        parts.append(
            f"exploitability {measured.exploitability:.4f} (uniform {measured.uniform:.4f})"
        )
    for path in sorted(find_run(str(outcome.folder)).glob("stages/*-after-*/evaluation.json")):
        earlier = load_evaluation(path)
        parts += [f"{words(row)} {earlier.label}" for row in earlier.matches if row.seat is None]
    parts += [words(row) for row in evaluation.matches if row.seat is None and row.games]
    for row in (*evaluation.beside, *(row for row in evaluation.baseline if row.opponent == ALONE)):
        name = "random" if row.opponent == ALONE else row.opponent
        parts.append(f"{name} instead {words(replace(row, opponent=ALONE))}")
    for score in evaluation.positions:
        parts.append(f"{score.split} {100 * score.optimal / max(1, score.positions):.1f}% optimal")
    return ", ".join(parts) + f" ({seconds / 60:.1f} min in all)"


def words(row: MatchScore) -> str:
    """Wins, draws, losses; in a game of one seat how many were won, and in how many turns."""
    if row.opponent != ALONE:
        return f"{row.opponent} {row.wins}/{row.draws}/{row.losses}"
    turns = f" in {row.turns_won:.2f} turns" if row.turns_won is not None else ""
    return f"{row.wins}/{row.games} won{turns}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recipe", nargs="?", default="")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--runs", type=Path)
    parser.add_argument("overrides", nargs="*", default=[])
    args = parser.parse_args()
    recipe = args.recipe or "tictactoe/tiny-grpo"
    changes = args.overrides if args.recipe else SHORT
    root = args.runs or Path(tempfile.mkdtemp())
    for seed in args.seeds:
        name = f"name={recipe.replace('/', '-')}-{seed}"
        started = time.monotonic()
        outcome = run_recipe(load_recipe(recipe, [*changes, f"seed={seed}", name]), root)
        print(line(recipe, seed, outcome, time.monotonic() - started), flush=True)


if __name__ == "__main__":
    main()
