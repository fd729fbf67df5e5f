"""From easy to hard: which stage of the curriculum is played, and when the next one begins."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tesuji.core.errors import DataError, RecipeError
from tesuji.recipe.schema.play import CurriculumStage


class Curriculum:
    """Walks through the stages in order and never back.

    A stage is left once the share of successes over its last `window` matches reaches its
    threshold; fewer matches than a window decide nothing. Raises RecipeError without stages.
    """

    def __init__(self, stages: Sequence[CurriculumStage]) -> None:
        if not stages:
            raise RecipeError("a curriculum needs at least one stage", where="play.curriculum")
        self.stages = tuple(stages)
        self._enter(0)

    def _enter(self, index: int, window: Iterable[bool] = ()) -> None:
        self.index = index
        self._window = deque((bool(one) for one in window), maxlen=self.stages[index].window)

    @property
    def stage(self) -> CurriculumStage:
        """The stage that is played now."""
        return self.stages[self.index]

    @property
    def success(self) -> float | None:
        """Share of successes (0..1) among the matches of the window so far; None before any."""
        return sum(self._window) / len(self._window) if self._window else None

    def observe(self, successes: Iterable[bool]) -> str | None:
        """Take in one rollout's matches of this stage, oldest first.

        The rate is looked at once, after the last of them, so that no match of the old stage
        counts for the new one. Returns the line for the console when the stage was left.
        """
        self._window.extend(successes)
        if not self._passed():
            return None
        rate, matches = self.success, len(self._window)
        self._enter(self.index + 1)
        place = f"{self.index + 1}/{len(self.stages)} ({self.stage.name})"
        return (
            f"Curriculum: advanced to stage {place}: "
            f"{rate:.1%} success over the last {matches} matches"
        )

    def _passed(self) -> bool:
        full = len(self._window) == self.stage.window
        last = self.index == len(self.stages) - 1
        return full and not last and sum(self._window) >= self.stage.threshold * len(self._window)

    def state_dict(self) -> dict[str, Any]:
        """Place and window, as plain JSON values."""
        return {"stage": self.index, "window": list(self._window)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken. Raises DataError for a stage that is not there."""
        index = int(state["stage"])
        if not 0 <= index < len(self.stages):
            raise DataError(
                f"the checkpoint is at stage {index + 1} of a curriculum of {len(self.stages)}",
                where="play.curriculum",
                hint="go on with the recipe the checkpoint was made with",
            )
        self._enter(index, state["window"])
