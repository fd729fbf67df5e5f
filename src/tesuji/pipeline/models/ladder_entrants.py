"""Who may enter a run's ladder: its models as they were, stage by stage, and fixed players."""

from collections.abc import Sequence

from tesuji.learners.model.load import load_policy
from tesuji.pipeline.models.in_run import models_of
from tesuji.pipeline.models.of_run import Trained
from tesuji.pipeline.step_context import model_player
from tesuji.players.base import Player
from tesuji.players.registry import make_player
from tesuji.recipe.schema.sections import PlayerSection


def entrants_of(
    trained: Trained, opponents: Sequence[PlayerSection], checkpoints: int, temperature: float
) -> dict[str, Player]:
    """Players by name: "before" where the base model is in the run, each stage's final model, at
    most `checkpoints` of its checkpoints evenly chosen, and the opponents."""
    players: dict[str, Player] = {}
    for name, folder in models_of(trained.run, trained.recipe, checkpoints):
        policy = load_policy(trained.recipe.model, str(folder))
        players[name] = model_player(policy, trained.recipe, name, temperature)
    for section in opponents:
        players[section.label] = make_player(section, game=trained.game)
    return players
