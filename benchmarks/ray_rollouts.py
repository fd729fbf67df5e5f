"""A rollout against tree search, played here and by actors of Ray.

    python benchmarks/ray_rollouts.py [--actors 2] [--matches 64] [--simulations 500]

A tiny model plays connect four against `mcts`; Ray runs on this machine, as many cores as actors.
Each is measured three times after a first time, and the median is told; whether it is the same
that was played is looked at as well. Compare on an idle machine only.
"""

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from pathlib import Path

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


def measured(engine: RolloutEngine, setup: RolloutSetup) -> tuple[Rollout, float]:
    """What is played, and the seconds that takes."""
    tasks = setup.schedule.beside(7).propose(setup.stage.batch_size)
    seconds = []
    for version in range(TIMES + 1):
        begun = time.monotonic()
        rollout = engine.play(tasks, version)
        seconds.append(time.monotonic() - begun)
    return rollout, statistics.median(seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--matches", type=int, default=64)
    parser.add_argument("--simulations", type=int, default=500)
    asked = parser.parse_args()
    quiet_libraries()
    recipe = recipe_of(**vars(asked))
    with tempfile.TemporaryDirectory() as folder:
        source = prepare_base(recipe.model, Path(folder), seed=1)
        policy = load_policy(recipe.model, source)
        stage = recipe.stages["grpo"]
        setup = RolloutSetup(stage, policy, recipe, Path(folder), contextlib.nullcontext)
        here, seconds = measured(Here(setup), setup)
        begun = time.monotonic()
        with rollout_engine(setup, Sources(source)) as engine:
            start = time.monotonic() - begun
            there, elsewhere = measured(engine, setup)
    moves = here.sums["replies"]
    same = [t.segments[0].token_ids for t in here.traces] == [
        t.segments[0].token_ids for t in there.traces
    ]
    print(f"matches: {asked.matches}")
    print(f"replies of the policy: {moves:.0f}")
    print(f"here, seconds: {seconds:.2f}")
    print(f"ray, {asked.actors} actors, seconds: {elsewhere:.2f}")
    print(f"ray, seconds to start and load: {start:.1f}")
    print(f"speed-up: {seconds / elsewhere:.2f}")
    print(f"the same tokens: {same}")
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
