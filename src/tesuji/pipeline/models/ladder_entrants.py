"""Who may enter a run's ladder: its models as they were, stage by stage, and fixed players."""

from collections.abc import Sequence
from pathlib import Path

from tesuji.learners.model.load import load_policy
from tesuji.pipeline.models.of_run import Trained, learners
from tesuji.pipeline.step_context import model_player
from tesuji.players.base import Player
from tesuji.players.registry import make_player
from tesuji.recipe.schema.sections import PlayerSection

ADAPTER, WHOLE = "adapter_config.json", "config.json"


def entrants_of(
    trained: Trained, opponents: Sequence[PlayerSection], checkpoints: int, temperature: float
) -> dict[str, Player]:
    """Players by name: "before" where the base model is in the run, each stage's final model, at
    most `checkpoints` of its checkpoints evenly chosen, and the opponents."""
    players: dict[str, Player] = {}
    for name, folder in models_of(trained, checkpoints):
        policy = load_policy(trained.recipe.model, str(folder))
        players[name] = model_player(policy, trained.recipe, name, temperature)
    for section in opponents:
        players[section.label] = make_player(section, game=trained.game)
    return players


def models_of(trained: Trained, checkpoints: int) -> list[tuple[str, Path]]:
    """(name, folder) of the models in the run, in the order they came to be."""
    base = trained.run / "base"
    models = [("before", base)] if (base / WHOLE).exists() else []
    for step in learners(trained.run, trained.recipe):
        folder = step.folder(trained.run).path
        for path in _some(sorted((folder / "checkpoints").glob("*-*"), key=_step), checkpoints):
            models.append((f"{step.name} at {_step(path):,}", path))
        if _is_model(folder / "final"):
            models.append((step.name, folder / "final"))
    return models


def _some(paths: Sequence[Path], count: int) -> list[Path]:
    """At most `count`, the first and the last among them."""
    whole = [path for path in paths if _is_model(path)]
    if len(whole) <= count:
        return whole
    places = {round(i * (len(whole) - 1) / max(1, count - 1)) for i in range(count)}
    return [whole[place] for place in sorted(places)]


def _is_model(folder: Path) -> bool:
    return (folder / ADAPTER).exists() or (folder / WHOLE).exists()


def _step(path: Path) -> int:
    number = path.name.rpartition("-")[2]
    return int(number) if number.isdigit() else 0
