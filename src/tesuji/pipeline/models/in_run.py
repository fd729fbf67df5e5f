"""What models are in a run's folder, and where; looked up without loading any."""

from collections.abc import Sequence
from pathlib import Path

from tesuji.core.errors import DataError, GameError
from tesuji.evaluation.evaluate import judged_game
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.pipeline.plan import Step, outline
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.schema.recipe import Recipe

NO_POLICY = ("data", "logs", "reward", "evaluate")
ADAPTER, WHOLE = "adapter_config.json", "config.json"


def recipe_and_game(run: Path) -> tuple[Recipe, Game]:
    """The run's recipe, and the game it is judged at. Raises RecipeError, GameError."""
    recipe = load_recipe(run / "recipe.yaml")
    try:
        game = judged_game(load_game(recipe.game.name, recipe.game.options), recipe.evaluation)
    except GameError as error:  # a package that came later may have a game of the same name
        error.where = f"{run / 'recipe.yaml'}: {error.where}"
        raise
    return recipe, game


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


def models_of(run: Path, recipe: Recipe, checkpoints: int) -> list[tuple[str, Path]]:
    """(name, folder) of the models in the run, in the order they came to be."""
    base = run / "base"
    models = [("before", base)] if (base / WHOLE).exists() else []
    for step in learners(run, recipe):
        folder = step.folder(run).path
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
