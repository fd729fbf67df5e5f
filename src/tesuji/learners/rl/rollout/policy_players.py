"""Who plays in a rollout: the policy, its snapshots, guarded opponents."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from tesuji.core.tensors import load_tensors, save_tensors
from tesuji.episodes.schedule.schedule import Schedule
from tesuji.learners.distributed import is_main
from tesuji.learners.rl.weights import Weights, copy_of, swapped
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.players.by_game import ByGame
from tesuji.players.guarded_player import GuardedPlayer
from tesuji.players.model import ModelPlayer
from tesuji.recipe.schema.play import SELF, SNAPSHOT
from tesuji.recipe.schema.sections import ENDPOINT


class Snapshots:
    """Frozen earlier versions of the policy by the step they were taken at, each in a file.

    Files stay until no checkpoint can ask for them again.
    """

    def __init__(self, folder: Path, model: Any) -> None:
        self.folder, self.model = folder, model
        self.kept: dict[int, Weights] = {}

    def take(self, step: int) -> None:
        """Freeze the policy as it is now."""
        self.kept[step] = copy_of(self.model)
        if is_main():
            save_tensors(self._file(step), self.kept[step])

    def keep(self, steps: Sequence[int]) -> None:
        """Have exactly these, reading from the files what is not in memory."""
        self.kept = {step: self._get(step) for step in steps}

    def by_label(self) -> dict[str, Weights]:
        """The versions kept, under the labels that the schedule gives them."""
        return {f"{SNAPSHOT}-{step}": weights for step, weights in self.kept.items()}

    def prune(self, needed: Sequence[int]) -> None:
        """Remove the files that no checkpoint names."""
        for path in self.folder.glob("step-*.safetensors"):
            if int(path.stem.rpartition("-")[2]) not in needed:
                path.unlink()

    def _get(self, step: int) -> Weights:
        return self.kept.get(step) or load_tensors(self._file(step), self.model.device)

    def _file(self, step: int) -> Path:
        return self.folder / f"step-{step:06d}.safetensors"


class WithinContext(Player):
    """A player that chooses inside a context, such as mixed precision or other weights."""

    def __init__(
        self, name: str, player: Player, context: Callable[[], AbstractContextManager[Any]]
    ) -> None:
        self.name, self.player, self.context = name, player, context

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        """The player's own choice."""
        with self.context():
            return self.player.choose(requests)


def fixed_opponents(schedule: Schedule, timeout_s: float) -> dict[str, Player]:
    """Every named opponent of all curriculum stages, behind a guard; an endpoint keeps its own time
    for each of its requests, and where it cannot go on, the run stops."""
    return {
        section.label: (
            ByGame(section)
            if section.player == ENDPOINT
            else GuardedPlayer(ByGame(section), timeout_s=timeout_s)
        )
        for section in schedule.all_players()
        if section.player not in (SELF, SNAPSHOT)
    }


def snapshot_players(
    snapshots: Mapping[str, Weights], model: Any, player: Callable[[], ModelPlayer]
) -> Mapping[str, Player]:
    """A player for each snapshot, by its label, with `model` in its weights. `player` makes a fresh
    one: what one has read of a match must not be taken for what another has."""
    return {
        label: WithinContext(label, player(), partial(swapped, model, weights))
        for label, weights in snapshots.items()
    }
