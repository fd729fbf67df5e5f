"""Rollouts in actors of Ray: tasks and new weights go out, rollouts come back.

    with ray_engine(setup, sources, in_bf16=False) as engine:
        rollout = engine.play(setup.propose(), version)

Every actor loads the model by itself, and gets of each version the weights that are trained (of
LoRA the adapter). To each goes a shard of whole groups; a decision's random stream is named by its
match, so the matches are those that are played here. Of several processes that learn the main one
sends the tasks of all, and has the whole rollout. What it simplifies: all machines see what the
recipe names under the same paths; actors compute on CPUs; a step waits for the slowest shard.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from tesuji.core.types import Task
from tesuji.episodes.cluster import cluster, results, started, version
from tesuji.learners.distributed import gathered, is_main
from tesuji.learners.model.adapter import with_adapter
from tesuji.learners.model.load import load_policy, quiet_libraries
from tesuji.learners.reward_model.scorer import load_scorer
from tesuji.learners.rl.rollout.play import Rollout, joined, play
from tesuji.learners.rl.rollout.setup import RolloutSetup, Version
from tesuji.learners.rl.weights import Weights
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import RLStage

LAUNCHERS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where another process loads what a stage begins with: Hub ids or folders."""

    policy: str
    reward_model: str | None = None


@dataclass(frozen=True)
class Begin:
    """All that an actor is told when it starts; `dtype` is that of the weights."""

    stage: RLStage
    recipe: Recipe
    sources: Sources
    dtype: str
    in_bf16: bool
    folder: str = field(default_factory=os.getcwd)


class RolloutActor:
    """Plays shards, in a process of its own, with the weights of the version it is told."""

    def __init__(self, begin: Begin) -> None:
        for name in [*os.environ]:  # it was started by a process of torchrun, and is none
            if name in LAUNCHERS or name.startswith("ACCELERATE_"):
                del os.environ[name]
        if Path(begin.folder).is_dir():
            os.chdir(begin.folder)
        self.begin, self.version = begin, -1
        self._setup: RolloutSetup | None = None

    def ready(self) -> str:
        """Load everything; the version of what runs here."""
        self.setup()
        return version()

    def setup(self) -> RolloutSetup:
        """The stage's, with a model of its own."""
        if self._setup is None:
            quiet_libraries()
            begin, recipe = self.begin, self.begin.recipe
            model = recipe.model.model_copy(update={"device": "cpu", "dtype": begin.dtype})
            policy = load_policy(model, begin.sources.policy)
            if (lora := model.adapters) is not None:
                policy = with_adapter(policy, lora, recipe.seed)
            reward_model = begin.sources.reward_model
            scorer = load_scorer(model, reward_model) if reward_model else None
            precision = partial(torch.autocast, "cpu", torch.bfloat16, begin.in_bf16)
            stage = begin.stage.model_copy(update={"max_staleness": 0})  # no second model
            self._setup = RolloutSetup(stage, policy, recipe, Path(), precision, scorer)
        return self._setup

    def play(
        self, tasks: Sequence[Task], version: int, weights: Sequence[Any], frozen: Mapping[str, Any]
    ) -> Rollout:
        """Play a shard. `weights` (one) and `frozen`, the snapshots by label, lie in Ray's object
        store, and are fetched where they are not here yet."""
        import ray

        setup = self.setup()
        new = ray.get(weights[0]) if version != self.version else {}
        kept = setup.present.snapshots
        snapshots = {label: kept.get(label) or ray.get(ref) for label, ref in frozen.items()}
        setup.play_as(Version(version, dict(new), snapshots))
        self.version = version
        return play(tasks, setup.matches(version), version=version)


@dataclass
class RayEngine:
    """Sends the tasks to its actors; one of a process that is not the main one has none."""

    setup: RolloutSetup
    actors: Sequence[Any]
    frozen: dict[str, Any] = field(default_factory=dict)

    def play(self, tasks: Sequence[Task], version: int) -> Rollout:
        """As `RolloutEngine` says, the tasks of all processes in the main one."""
        tasks = gathered(tasks)
        if not is_main():
            return Rollout([], [])
        begun = time.monotonic()
        weights, kept = _stored(_trained(self.setup)), self.setup.present.snapshots
        self.frozen = {label: self.frozen.get(label) or _stored(kept[label]) for label in kept}
        calls = [
            actor.play.remote(shard, version, [weights], self.frozen)
            for actor, shard in zip(self.actors, self._shards(tasks), strict=True)
            if shard
        ]
        return replace(joined(results(calls)), seconds=time.monotonic() - begun)

    def _shards(self, tasks: Sequence[Task]) -> list[Sequence[Task]]:
        """A share of the groups for each actor, in order: as even as whole groups can be."""
        size, count = self.setup.stage.num_generations, len(self.actors)
        ends = [number * (len(tasks) // size) // count * size for number in range(count + 1)]
        return [tasks[begin:end] for begin, end in pairwise(ends)]


def _trained(setup: RolloutSetup) -> Weights:
    """The weights that play, those that are trained."""
    ours = {name for name, one in setup.policy.model.named_parameters() if one.requires_grad}
    playing = setup.playing.model.named_parameters()
    return {name: one.detach() for name, one in playing if name in ours}


def _stored(weights: Weights) -> Any:
    import ray

    return ray.put({name: tensor.cpu() for name, tensor in weights.items()})


@contextmanager
def ray_engine(setup: RolloutSetup, sources: Sources, *, in_bf16: bool) -> Iterator[RayEngine]:
    """The engine with its actors, all loaded; they and a Ray of its own are stopped at the end.
    Raises EngineError where Ray, or an actor, does not start."""
    if not is_main():
        yield RayEngine(setup, ())
        return
    section, stage, asked = setup.recipe.rollouts, setup.stage, setup.recipe.rollouts.actors
    groups = stage.batch_size // stage.num_generations
    most = min(groups, (os.cpu_count() or 1) if asked == "auto" else asked)
    with cluster(section.address, most) as cores:
        dtype = str(setup.policy.model.dtype).removeprefix("torch.")
        begin = Begin(stage, setup.recipe, sources, dtype, in_bf16)
        count = min(groups, cores) if asked == "auto" else asked
        yield RayEngine(setup, started(RolloutActor, begin, count, cores))
