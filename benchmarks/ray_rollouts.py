"""A rollout against tree search, played here and by actors of Ray.

    python benchmarks/ray_rollouts.py [--actors 2] [--matches 64] [--simulations 500]

A tiny model plays connect four against `mcts`; Ray runs on this machine, as many cores as actors.
Each is measured three times after a first time, and the medians are told; whether it is the same
that was played is looked at as well. Beside seconds on the clock, for an idle machine, there are
CPU seconds, which count on a busy one too: of Ray this process's and those of its slowest actor.
"""

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from pathlib import Path

import psutil

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of each process, wherever it plays

from tesuji.learners.model.load import load_policy, prepare_base, quiet_libraries
from tesuji.learners.rl.rollout.engine import Here, RolloutEngine, rollout_engine
from tesuji.learners.rl.rollout.play import Rollout
from tesuji.learners.rl.rollout.ray_engine import Sources
from tesuji.learners.rl.rollout.setup import RolloutSetup
from tesuji.recipe.schema.recipe import Recipe

TIMES = 3


def recipe_of(actors: int, matches: int, simulations: int) -> Recipe:
    """GRPO against search, its rollouts in so many actors."""
    play = {"opponents": [{"player": "mcts", "simulations": simulations}]}
    stage = {"max_steps": 1, "batch_size": matches, "num_generations": 1, "play": play}
    return Recipe.model_validate(
        {
            "name": "ray-rollouts",
            "game": "connect_four",
            "prompt": {"style": "compact", "answer": "id"},
            "sampling": {"legal_only": True, "max_new_tokens": 3},
            "stages": {"grpo": stage},
            "rollouts": {"engine": "ray", "actors": actors},
        }
    )


def measured(engine: RolloutEngine, setup: RolloutSetup) -> tuple[Rollout, float, float]:
    """What is played; the seconds and the CPU seconds that takes."""
    tasks = setup.schedule.beside(7).propose(setup.stage.batch_size)
    rounds = []
    for version in range(TIMES + 1):
        begun, before = time.monotonic(), cpu_seconds()
        rollout = engine.play(tasks, version)
        used = [after - then for then, after in zip(before, cpu_seconds(), strict=True)]
        rounds.append((time.monotonic() - begun, used[0] + max(used[1:], default=0.0)))
    seconds, computed = (statistics.median(column[1:]) for column in zip(*rounds, strict=True))
    return rollout, seconds, computed


def cpu_seconds() -> list[float]:
    """Of this process, and of each of its actors."""
    me = psutil.Process()
    below = [one for one in me.children(recursive=True) if "RolloutActor" in str(one.cmdline())]
    actors = sorted(below, key=lambda one: one.pid)
    return [sum(one.cpu_times()[:2]) for one in (me, *actors)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--matches", type=int, default=64)
    parser.add_argument("--simulations", type=int, default=500)
    asked, load = parser.parse_args(), os.getloadavg()[0]
    quiet_libraries()
    recipe = recipe_of(**vars(asked))
    with tempfile.TemporaryDirectory() as folder:
        source = prepare_base(recipe.model, Path(folder), seed=1)
        policy = load_policy(recipe.model, source)
        stage = recipe.stages["grpo"]
        setup = RolloutSetup(stage, policy, recipe, Path(folder), contextlib.nullcontext)
        here, seconds, computed = measured(Here(setup), setup)
        begun = time.monotonic()
        with rollout_engine(setup, Sources(source)) as engine:
            start = time.monotonic() - begun
            there, elsewhere, spread = measured(engine, setup)
    print(f"matches: {asked.matches}")
    print(f"here_seconds: {seconds:.2f}")
    print(f"ray_seconds: {elsewhere:.2f}")
    print(f"speed_up: {seconds / elsewhere:.2f}")
    print(f"here_cpu_seconds: {computed:.2f}")
    print(f"ray_cpu_seconds: {spread:.2f}")
    print(f"speed_up_cpu: {computed / spread:.2f}")
    print(f"ray_seconds_to_start: {start:.1f}")
    print(f"same_tokens: {tokens_of(here) == tokens_of(there)}")
    print(f"load_before: {load:.1f}")


def tokens_of(rollout: Rollout) -> list[list[tuple[int, ...]]]:
    return [[segment.token_ids for segment in trace.segments] for trace in rollout.traces]


if __name__ == "__main__":
    main()
