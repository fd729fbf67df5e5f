"""A finished run as something to play with: its recipe, its game, its newest model."""

from dataclasses import dataclass
from pathlib import Path

from tesuji.core.errors import DataError, GameError
from tesuji.core.progress import SILENT, Progress
from tesuji.evaluation.evaluate import judged_game
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.learners.model.load import load_policy, quiet_libraries
from tesuji.pipeline.plan import Step, outline
from tesuji.pipeline.step_context import model_player
from tesuji.players.model import ModelPlayer
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.schema.recipe import Recipe

NO_POLICY = ("data", "logs", "reward", "evaluate")


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
        """The model as a player; sampling as in the recipe unless `temperature` is given."""
        policy = load_policy(self.recipe.model, self.source, progress)
        return model_player(policy, self.recipe, "model", temperature)


def open_run(run: Path) -> Trained:
    """The run's last trained model, or its base model when nothing is trained yet.

    Raises DataError when the folder holds no model at all.
    """
    quiet_libraries()
    recipe = load_recipe(run / "recipe.yaml")
    try:
        game = judged_game(load_game(recipe.game.name, recipe.game.options), recipe.evaluation)
    except GameError as error:  # a package that came later may have a game of the same name
        error.where = f"{run / 'recipe.yaml'}: {error.where}"
        raise
    return Trained(run, recipe, game, newest_model(run, recipe))


def beware(run: Path, recipe: Recipe) -> str:
    """In words that the run has not ended, or that the model is the one it began with; else ""."""
    plan = outline(recipe)
    done = [step for step in plan if finished(step, run)]
    trained = [step.name for step in done if step.kind not in NO_POLICY]
    which = f"this is the model after {trained[-1]}" if trained else "this is its base model"
    if len(done) < len(plan):
        how_far = f"{len(done)} of {len(plan)} steps done"
        return f"the run is not finished ({how_far}); {which}"
    return "" if trained else "the run trained nothing; this is its base model"


def newest_model(run: Path, recipe: Recipe) -> str:
    """Where the run's last trained model is, or its base model when nothing is trained yet."""
    done = [s for s in learners(run, recipe) if finished(s, run)]
    if not done:
        return base_model(run, recipe)
    final = done[-1].folder(run).path / "final"
    if not final.is_dir():
        hint = f"tesuji run {run}/recipe.yaml makes it again"
        raise DataError(f"the model of stage {done[-1].name} is gone", where=str(final), hint=hint)
    return str(final)


def learners(run: Path, recipe: Recipe) -> list[Step]:
    """The steps that train the policy, done or not."""
    return [step for step in outline(recipe) if step.kind not in NO_POLICY]


def finished(step: Step, run: Path) -> bool:
    """Whether the step was done to its end."""
    return (step.folder(run).path / "done.json").exists()


def base_model(run: Path, recipe: Recipe) -> str:
    """Where the model is that the run began with. Raises DataError where none is built yet."""
    if recipe.model.base != "tiny":
        return recipe.model.base
    if (run / "base" / "tokenizer_config.json").exists():
        return str(run / "base")
    hint = f"go on with it: tesuji run {run}/recipe.yaml"
    raise DataError("no model in this run yet", where=str(run), hint=hint)
