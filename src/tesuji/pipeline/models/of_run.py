"""A finished run as something to play with: its recipe, its game, its newest model."""

from dataclasses import dataclass
from pathlib import Path

from tesuji.core.errors import DataError
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.learners.model.load import load_policy, quiet_libraries
from tesuji.pipeline.plan import make_plan
from tesuji.pipeline.step_context import model_player
from tesuji.players.model import ModelPlayer
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.schema.recipe import Recipe

NO_POLICY = ("data", "logs", "reward", "evaluate")


@dataclass(frozen=True)
class Trained:
    """A run's recipe, game and model. `source` is the folder or Hub id of the model."""

    run: Path
    recipe: Recipe
    game: Game
    source: str

    @property
    def data(self) -> Path | None:
        """The folder of the run's last data stage, if it has one."""
        plan = make_plan(self.recipe, self.run)
        return next(
            (s.folder(self.run).path for s in plan[::-1] if s.kind in ("data", "logs")), None
        )

    def player(self, temperature: float | None = None) -> ModelPlayer:
        """The model as a player; sampling as in the recipe unless `temperature` is given."""
        policy = load_policy(self.recipe.model, self.source)
        return model_player(policy, self.recipe, "model", temperature)


def open_run(run: Path) -> Trained:
    """The run's last trained model, or its base model when nothing is trained yet.

    Raises DataError when the folder holds no model at all.
    """
    quiet_libraries()
    recipe = load_recipe(run / "recipe.yaml")
    game = load_game(recipe.game.name, recipe.game.options)
    return Trained(run, recipe, game, _source(run, recipe))


def _source(run: Path, recipe: Recipe) -> str:
    learners = [step for step in make_plan(recipe, run) if step.kind not in NO_POLICY]
    for step in reversed(learners):
        folder = step.folder(run).path
        if (folder / "done.json").exists():
            return str(folder / "final")
    if recipe.model.base != "tiny":
        return recipe.model.base
    if (run / "base" / "tokenizer_config.json").exists():
        return str(run / "base")
    raise DataError(
        "no model in this run yet",
        where=str(run),
        hint=f"go on with it: tesuji run {run}/recipe.yaml",
    )
