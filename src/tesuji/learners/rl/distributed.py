"""Several processes, one rollout: what each needs to know of the others'. One process: itself."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def process() -> tuple[int, int]:
    """(this process's number, how many there are)."""
    from accelerate import PartialState

    state = PartialState()
    return int(state.process_index), int(state.num_processes)


def is_main() -> bool:
    """Whether this process writes files and talks."""
    return process()[0] == 0


def gathered(items: Sequence[T]) -> list[T]:
    """The items of all processes, in the order of the processes."""
    if process()[1] == 1:
        return list(items)
    from accelerate.utils import gather_object

    everybodys: list[T] = gather_object(list(items))
    return everybodys


def gathered_sums(sums: Mapping[str, float]) -> dict[str, float]:
    """The sums over all processes."""
    total: dict[str, float] = defaultdict(float)
    for part in gathered([dict(sums)]):
        for name in sorted(part):
            total[name] += part[name]
    return total


def summed(values: tuple[float, float, float]) -> tuple[float, float, float]:
    """Element by element, over all processes."""
    first, second, third = (sum(column) for column in zip(*gathered([values]), strict=True))
    return first, second, third
