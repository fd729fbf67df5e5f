"""Models at the tables: each is loaded once, whoever plays it, and used by one at a time."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tesuji.core.progress import Progress
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.recipe.schema.recipe import Recipe

if TYPE_CHECKING:
    from tesuji.learners.model.load import Policy
    from tesuji.players.model import ModelPlayer

MOST = 4  # models in memory; those at tables stay until the tables are gone


@dataclass(frozen=True)
class RunModel:
    """A model of a run: `source` is a folder or Hub id, `recipe` says how it is shown positions."""

    recipe: Recipe
    source: str
    name: str


@dataclass
class _Place:
    lock: Any = field(default_factory=threading.RLock)
    policy: "Policy | None" = None


class Shared(Player):
    """A model as a player at one of several tables."""

    def __init__(self, inner: "ModelPlayer", lock: Any) -> None:
        self.inner, self._lock, self.name = inner, lock, inner.name

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        """As the model, once nobody else is asking it."""
        with self._lock:
            return self.inner.choose(requests)

    def probabilities(self, requests: Sequence[MoveRequest]) -> list[dict[int, float]]:
        """As the model's (`ModelPlayer.probabilities`)."""
        with self._lock:
            return self.inner.probabilities(requests)


class Models:
    """The models in memory, those used last."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._places: OrderedDict[tuple[str, str], _Place] = OrderedDict()
        self._lock = threading.Lock()

    def opener(self, model: RunModel, temperature: float | None) -> Callable[[Progress], Player]:
        """What makes the player when its table is set up. Raises EngineError then."""
        return lambda progress: self._player(model, temperature, progress)

    def _player(self, model: RunModel, temperature: float | None, progress: Progress) -> Player:
        from tesuji.learners.model.load import load_policy, quiet_libraries
        from tesuji.pipeline.step_context import model_player

        place = self._place(model)
        with place.lock:
            if place.policy is None:
                progress.begin(f"loading {model.name}")
                quiet_libraries()
                place.policy = load_policy(model.recipe.model, model.source, progress)
            player = model_player(place.policy, model.recipe, model.name, temperature)
        return Shared(player, place.lock)

    def _place(self, model: RunModel) -> _Place:
        key = (model.source, model.recipe.model.model_dump_json())
        with self._lock:
            place = self._places.setdefault(key, _Place())
            self._places.move_to_end(key)
            while len(self._places) > self.most:
                self._places.popitem(last=False)
        return place


def newest(run: Path, recipe: Recipe, name: str) -> RunModel:
    """The run's last model. Raises DataError where it has none."""
    from tesuji.pipeline.models.in_run import newest_model

    return RunModel(recipe, newest_model(run, recipe), name)
