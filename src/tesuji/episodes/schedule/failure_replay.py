"""Tasks that went wrong, remembered so that they can be played again until they are mastered."""

import json
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from tesuji.core.types import Task
from tesuji.recipe.schema.play import FailureReplaySection

FAILED = 0.5  # a mean score below this is a failure
FLOOR = 0.05  # the least weight of a remembered task in a draw


@dataclass(slots=True)
class _Failure:
    """A task (with repeat 0), its latest mean score, and how often it was drawn."""

    task: Task
    score: float
    visits: int = 0


class FailureReplay:
    """A memory of the last failed tasks. Scores are 0..1 from the learning seats' viewpoint.

    A task is the same whatever its `repeat`. The matches of a task are numbered on from visit to
    visit, `group_size` each, so that no random stream is ever used twice: the first visit is the
    one before the task was remembered.
    """

    def __init__(self, section: FailureReplaySection, *, group_size: int = 1) -> None:
        self.section = section
        self.group_size = group_size
        self._failures: dict[str, _Failure] = {}  # the oldest first

    def __len__(self) -> int:
        return len(self._failures)

    def observe(self, task: Task, score: float) -> None:
        """Take in the mean score of one task over the rollout that just ended.

        `task` may be any match of its group. A failure is remembered (the newest last), what is
        mastered is dropped, and in between a remembered task stays where it is.
        """
        first = replace(task, repeat=0)
        key = _key(first)
        known = self._failures.get(key)
        if score >= self.section.mastered:
            self._failures.pop(key, None)
        elif score < FAILED:
            visits = max(known.visits if known else 0, task.repeat // self.group_size)
            self._failures.pop(key, None)
            self._failures[key] = _Failure(first, score, visits)
        elif known:
            known.score = score
        while len(self) > self.section.capacity:
            del self._failures[next(iter(self._failures))]

    def draw(self, rng: random.Random) -> Task | None:
        """A remembered task with the `repeat` of the first match of this visit's group.

        The worse its score, the likelier it is; None while nothing is remembered.
        """
        if not self._failures:
            return None
        failures = list(self._failures.values())
        weights = [max(1.0 - failure.score, FLOOR) for failure in failures]
        [drawn] = rng.choices(failures, weights)
        drawn.visits += 1
        return replace(drawn.task, repeat=drawn.visits * self.group_size)

    def forget(self, label: str) -> None:
        """Drop every task with this player in one of its seats: it cannot be played any more."""
        for key, failure in list(self._failures.items()):
            if label in failure.task.players:
                del self._failures[key]

    def state_dict(self) -> dict[str, Any]:
        """All that is remembered, the oldest first, as plain JSON values."""
        return {"failures": [asdict(failure) for failure in self._failures.values()]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Remember what was remembered when `state_dict` was taken."""
        self._failures = {}
        for row in state["failures"]:
            task = Task(**{**row["task"], "players": tuple(row["task"]["players"])})
            self._failures[_key(task)] = _Failure(task, row["score"], row["visits"])


def _key(task: Task) -> str:
    return json.dumps(asdict(task), sort_keys=True)
