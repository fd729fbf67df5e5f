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
from tesuji.learners.rl.rollout.setup import RolloutSetup


class RolloutEngine(Protocol):
    """Plays tasks, wherever it does."""

    def play(self, tasks: Sequence[Task], version: int) -> Rollout:
        """Play the tasks, in their order, with the policy's weights as they are at the call, which
        are those after step `version`. Raises EngineError as `rollout.play.play` does."""


@dataclass(frozen=True)
class Here:
    """In this process."""

    setup: RolloutSetup

    def play(self, tasks: Sequence[Task], version: int) -> Rollout:
        """As `RolloutEngine` says."""
        return play(tasks, self.setup.matches(version), version=version)


@contextmanager
def rollout_engine(setup: RolloutSetup) -> Iterator[RolloutEngine]:
    """The engine that the stage asks for; what it has started is stopped at the end."""
    with closing(setup):
        yield Here(setup)
