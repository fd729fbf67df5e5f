"""Who plays and asks what: all of it here, or each of several processes its share."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Share(Protocol):
    """Has every item done somewhere (`learners.distributed.shared_out`)."""

    def __call__(self, items: Sequence[T], do: Callable[[Sequence[T]], Sequence[R]]) -> list[R]:
        """Every item's result, in the items' order; `do` gives a result an item, in their order."""


def all_here(items: Sequence[T], do: Callable[[Sequence[T]], Sequence[R]]) -> list[R]:
    """Nobody else has any of it."""
    return list(do(items))
