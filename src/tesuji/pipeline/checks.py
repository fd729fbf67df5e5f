"""Everything about a recipe that can be refused before anything is computed."""

from pathlib import Path

from tesuji.core.errors import GameError, RecipeError
from tesuji.evaluation.evaluate import judged_game
from tesuji.evaluation.questions import asks_questions
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.pipeline.checks_rl import check_rl
from tesuji.players.registry import make_player, players_of
from tesuji.recipe.schema.data import DataStage, LogsStage
from tesuji.recipe.schema.pairs import PairTraining
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import RLStage
from tesuji.recipe.schema.sections import PlayerSection
from tesuji.recipe.schema.stages import SftStage

RESERVED = ("before", "after")  # and whatever begins with `after-`


def check(recipe: Recipe) -> Game:
    """The recipe's game, once everything named in the recipe is known to fit it.

    Raises RecipeError or GameError naming the key.
    """
    game = load_game(recipe.game.name, recipe.game.options)
    rows: DataStage | LogsStage | None = None
    for name, stage in recipe.stages.items():
        _check_name(name)
        if isinstance(stage, DataStage):
            _check_players(game, f"stages.{name}", [stage.oracle, *stage.sampled_by])
        elif isinstance(stage, LogsStage):
            _check_paths(f"stages.{name}.paths", stage.paths)
        elif isinstance(stage, SftStage | PairTraining):
            _check_rows(game, name, stage, rows)
        elif isinstance(stage, RLStage):
            check_rl(recipe, game, name, stage)
        rows = stage if isinstance(stage, DataStage | LogsStage) else rows
    judged = _judged(game, recipe)
    if not asks_questions(judged):  # of those nobody is an opponent
        _check_players(judged, "evaluation", recipe.evaluation.opponents)
    if recipe.evaluation.certificate:
        _needs_certificate(game, "evaluation.certificate")
    if recipe.evaluation.exploitability and "exploitability" not in game.info.metrics:
        raise RecipeError(
            f"the exploitability of {game.name} cannot be computed",
            where="evaluation.exploitability",
            hint="leave it out; `tesuji games` shows which games have it",
        )
    return game


def _check_name(name: str) -> None:
    fits = name.replace("-", "").replace("_", "").isalnum()
    if name in RESERVED or name.startswith("after-") or not fits:
        raise RecipeError(
            f"a stage cannot be called {name!r}",
            where=f"stages.{name}",
            hint="use letters, digits, - and _; `before` and `after` are the evaluations",
        )


def _judged(game: Game, recipe: Recipe) -> Game:
    try:
        return judged_game(game, recipe.evaluation)
    except GameError as error:
        error.where = "evaluation.options"
        raise


def _check_players(game: Game, where: str, players: list[PlayerSection]) -> None:
    alone = game.num_players == 1 and not {"random", "answer_key"} & {*players_of(game.info)}
    for player in () if alone else players:
        try:
            make_player(player, game=game)
        except (GameError, RecipeError) as error:
            error.where = error.where or where
            raise


def _check_paths(where: str, paths: list[str]) -> None:
    for path in paths:
        if not Path(path).exists():
            raise RecipeError(
                f"no such file or folder: {path}",
                where=where,
                hint="the path is relative to the folder you start tesuji in",
            )


def _check_rows(
    game: Game, name: str, stage: SftStage | PairTraining, rows: DataStage | LogsStage | None
) -> None:
    if stage.data is None and rows is None:
        raise RecipeError(
            "no rows to train on: there is no data stage before it",
            where=f"stages.{name}.data",
            hint="put a `data:` stage in front, or name a JSONL file",
        )
    if stage.data is not None and not Path(stage.data).is_file():
        raise RecipeError(
            f"no such file: {stage.data}",
            where=f"stages.{name}.data",
            hint="the path is relative to the folder you start tesuji in",
        )
    pairless = isinstance(rows, DataStage) and rows.pairs == "none"
    if isinstance(stage, PairTraining) and stage.data is None and pairless:
        raise RecipeError(
            "no pairs to learn from: the data stage before it makes none",
            where=f"stages.{name}.data",
            hint="give the data stage `pairs: one` or `pairs: all`",
        )
    if isinstance(stage, SftStage) and stage.stop_when == "certificate":
        _needs_certificate(game, f"stages.{name}.stop_when")


def _needs_certificate(game: Game, where: str) -> None:
    if "certificate" not in game.info.metrics:
        raise RecipeError(
            f"{game.name} is not a game whose whole tree can be walked",
            where=where,
            hint="leave the certificate out; `tesuji games` shows which games have it",
        )
