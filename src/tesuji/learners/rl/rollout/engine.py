"""Where a stage's matches are played: one interface, whoever plays them.

with rollout_engine(setup) as engine:
    rollout = engine.play(setup.propose(), version)
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Protocol

from tesuji.core.types import Task
from tesuji.learners.rl.rollout.play import Rollout, play
from tesuji.learners.rl.rollout.ray_engine import Sources, ray_engine
from tesuji.learners.rl.rollout.setup import RolloutSetup


class RolloutEngine(Protocol):
    """Plays tasks, wherever it does."""

    def play(self, tasks: Sequence[Task], version: int) -> Rollout:
        """Play the tasks, in their order, with the weights that `setup.playing` has at the call,
        which are those after step `version`. Called from one thread, not always the main one.
        Raises EngineError as `rollout.play.play` does."""


@dataclass(frozen=True)
class Here:
    """In this process."""

    setup: RolloutSetup

    def play(self, tasks: Sequence[Task], version: int) -> Rollout:
        """As `RolloutEngine` says."""
        return play(tasks, self.setup.matches(version), version=version)


@contextmanager
def rollout_engine(
    setup: RolloutSetup, sources: Sources | None = None, *, in_bf16: bool = False
) -> Iterator[RolloutEngine]:
    """The engine that the recipe's `rollouts` asks for; what it has started is stopped at the end.
    `sources` is what other processes load; `in_bf16`: the policy plays under autocast."""
    if setup.recipe.rollouts.engine == "here":
        with closing(setup):
            yield Here(setup)
        return
    assert sources is not None
    with ray_engine(setup, sources, in_bf16=in_bf16) as engine:
        yield engine
