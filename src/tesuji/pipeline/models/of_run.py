"""A finished run as something to play with: its recipe, its game, its newest model."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tesuji.core.progress import SILENT, Progress
from tesuji.games.base import Game
from tesuji.learners.model.load import load_policy, quiet_libraries
from tesuji.pipeline.checks.engine import check_engine
from tesuji.pipeline.models.in_run import beware, newest_model, recipe_and_game
from tesuji.pipeline.plan import outline
from tesuji.pipeline.step_context import model_player, sampler_of
from tesuji.players.model import ModelPlayer
from tesuji.recipe.schema.recipe import Recipe

Engine = Literal["local", "vllm"]


@dataclass(frozen=True)
class Trained:
    """A run's recipe, the game it is judged at, and its model: `source` is a folder or Hub id."""

    run: Path
    recipe: Recipe
    game: Game
    source: str

    @property
    def data(self) -> Path | None:
        """The folder of the run's last data stage, if it has one."""
        plan = outline(self.recipe)
        return next(
            (s.folder(self.run).path for s in plan[::-1] if s.kind in ("data", "logs")), None
        )

    @property
    def beware(self) -> str:
        """What to know before anything is made of this model; "" for a run that has ended."""
        return beware(self.run, self.recipe)

    def player(self, temperature: float | None = None, progress: Progress = SILENT) -> ModelPlayer:
        """The model as a player in this process; sampling as in the recipe unless `temperature` is
        given."""
        policy = load_policy(self.recipe.model, self.source, progress)
        return model_player(policy, self.recipe, "model", temperature)

    @contextmanager
    def playing(
        self,
        temperature: float | None = None,
        progress: Progress = SILENT,
        *,
        engine: Engine | None = None,
    ) -> Iterator[ModelPlayer]:
        """The model as a player as long as this is open, sampling through `engine` (the recipe's
        where none is named); a server that is started for it writes into the run's folder `vllm`,
        and is ended. Raises RecipeError and EngineError before anything starts."""
        recipe = with_engine(self.recipe, engine)
        check_engine(recipe, None)
        policy = load_policy(recipe.model, self.source, progress)
        with sampler_of(policy, recipe, self.run, progress) as sampler:
            progress.end()
            yield model_player(policy, recipe, "model", temperature, sampler)


def with_engine(recipe: Recipe, engine: Engine | None) -> Recipe:
    """The recipe with another engine; its own where none is named."""
    if engine is None or engine == recipe.sampling.engine:
        return recipe
    sampling = recipe.sampling.model_copy(update={"engine": engine})
    return recipe.model_copy(update={"sampling": sampling})


def open_run(run: Path) -> Trained:
    """The run's last trained model, or its base model when nothing is trained yet.

    Raises DataError when the folder holds no model at all.
    """
    quiet_libraries()
    recipe, game = recipe_and_game(run)
    return Trained(run, recipe, game, newest_model(run, recipe))
