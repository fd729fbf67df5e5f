"""Episodes in the order of the tasks that they were played from."""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Any

from tesuji.core.types import Episode, Task


def in_order(episodes: Iterable[Episode], tasks: Sequence[Task]) -> list[Episode]:
    """The tasks' episodes, one each, in the tasks' order; of tasks that are the same, in that of
    the episodes. In which order matches end depends on which others are played beside them."""
    played: dict[Any, deque[Episode]] = defaultdict(deque)
    for episode in episodes:
        marks = (episode.provenance.get(name, 0) for name in ("opening", "repeat"))
        played[_key(episode, *marks)].append(episode)
    return [played[_key(task, task.opening, task.repeat)].popleft() for task in tasks]


def _key(played: Task | Episode, opening: int, repeat: int) -> tuple[Any, ...]:
    options = repr(sorted(played.options.items()))  # a value may be a list
    return (played.game, options, played.seed, played.players, opening, repeat)
