"""Everything about a recipe that can be refused before anything is computed.

Nothing is written, nothing is downloaded, no weights are read (but for a GGUF file, which is
de-quantised once). What belongs to one kind of thing stands in a module of its own: data, lengths,
model, reinforcement learning, steps.
"""

import contextlib
import importlib.util
import netrc
import os

from tesuji.core.errors import EngineError, GameError, RecipeError, placed
from tesuji.core.progress import SILENT, Progress
from tesuji.evaluation.evaluate import judged_game
from tesuji.evaluation.questions import asks_questions
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.pipeline.checks.data import check_logs, check_positions, check_rows
from tesuji.pipeline.checks.distributed import check_distributed
from tesuji.pipeline.checks.engine import check_engine
from tesuji.pipeline.checks.lengths import check_lengths
from tesuji.pipeline.checks.model import check_model, inspect_base
from tesuji.pipeline.checks.rl import check_rl
from tesuji.pipeline.checks.rollouts import check_rollouts
from tesuji.pipeline.checks.steps import check_steps
from tesuji.pipeline.settings import settled
from tesuji.players.registry import find_player, make_player, players_of
from tesuji.recipe.schema.data import DataStage, LogsStage
from tesuji.recipe.schema.pairs import PairTraining
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import RLStage
from tesuji.recipe.schema.sections import PlayerSection
from tesuji.recipe.schema.stages import SftStage
from tesuji.recipe.schema.training import Training

RESERVED = ("before", "after")  # and whatever begins with `after-`
LONGEST_NAME = 80


def check(recipe: Recipe, progress: Progress = SILENT) -> Recipe:
    """The recipe as it will be run, with every `auto` settled that its model decides, once
    everything named in it is known to fit its game, and all that can be known here of its model.

    Raises RecipeError, GameError, DataError or EngineError naming the key.
    """
    game = load_game(recipe.game.name, recipe.game.options)
    rows: DataStage | LogsStage | None = None
    for name, stage in recipe.stages.items():
        _check_name(name)
        if isinstance(stage, Training):
            check_steps(name, stage)
        if isinstance(stage, DataStage):
            _check_players(game, f"stages.{name}.oracle", [stage.oracle])
            _check_players(game, f"stages.{name}.sampled_by", stage.sampled_by)
            check_positions(name, stage, game)
        elif isinstance(stage, LogsStage):
            check_logs(name, stage)
        elif isinstance(stage, SftStage | PairTraining):
            check_rows(name, stage, rows)
        elif isinstance(stage, RLStage):
            check_rl(recipe, game, name, stage)
        if isinstance(stage, SftStage | RLStage) and stage.stop_when == "certificate":
            _needs_certificate(game, f"stages.{name}.stop_when")
        rows = stage if isinstance(stage, DataStage | LogsStage) else rows
    _check_evaluation(recipe, game)
    _check_trackers(recipe)
    facts = inspect_base(recipe, progress)
    recipe = settled(recipe, facts)
    check_model(recipe, facts)
    check_distributed(recipe)
    check_rollouts(recipe)
    check_engine(recipe, facts)
    check_lengths(recipe, game, facts)
    return recipe


def _check_name(name: str) -> None:
    fits = name.replace("-", "").replace("_", "").isalnum() and name.isascii()
    if name in RESERVED or name.startswith("after-") or not fits or len(name) > LONGEST_NAME:
        raise RecipeError(
            f"a stage cannot be called {name[:LONGEST_NAME]!r}",
            where=f"stages.{name[:LONGEST_NAME]}",
            hint="use letters, digits, - and _; `before` and `after` are the evaluations",
        )


def _check_evaluation(recipe: Recipe, game: Game) -> None:
    section = recipe.evaluation
    judged = _judged(game, recipe)
    if not asks_questions(judged):  # of those nobody is an opponent
        _check_players(judged, "evaluation.opponents", section.opponents)
        _check_players(judged, "evaluation.beside", section.beside)
    _check_oracle(recipe, judged)
    if section.certificate:
        _needs_certificate(judged, "evaluation.certificate")
    if section.exploitability and not {"exploitability", "nash_conv"} & {*judged.info.metrics}:
        raise RecipeError(
            f"the exploitability of {judged.name} cannot be computed",
            where="evaluation.exploitability",
            hint="leave it out; `tesuji games` shows which games have it",
        )


def _judged(game: Game, recipe: Recipe) -> Game:
    try:
        return judged_game(game, recipe.evaluation)
    except GameError as error:
        table = "evaluation.game" if recipe.evaluation.game else "evaluation"
        error.where = error.where.replace("game", table, 1)
        raise


def _check_oracle(recipe: Recipe, game: Game) -> None:
    """There is such a player, with such options; where positions are asked about, it can play."""
    section = recipe.evaluation
    asked = section.positions > 0 and "optimal_moves" in game.info.metrics
    unasked = contextlib.nullcontext() if asked else contextlib.suppress(GameError)
    with unasked, placed("evaluation.oracle"):
        make_player(section.oracle, game=game)


def _check_players(game: Game, where: str, players: list[PlayerSection]) -> None:
    beside = not where.startswith("stages") and game.num_players == 1
    alone = beside and not {"random", "answer_key"} & {*players_of(game.info)}
    for place, player in enumerate(players):
        with placed(where if where.endswith("oracle") else f"{where}.{place}"):
            if alone:
                find_player(player.player)
            else:
                make_player(player, game=game)


def _needs_certificate(game: Game, where: str) -> None:
    if "certificate" not in game.info.metrics:
        raise RecipeError(
            f"{game.name} is not a game whose whole tree can be walked",
            where=where,
            hint="leave the certificate out; `tesuji games` shows which games have it",
        )


def _check_trackers(recipe: Recipe) -> None:
    """Every tracker is installed, and Weights & Biases has a key where it needs one."""
    for place, name in enumerate(recipe.report_to):
        where = f"report_to.{place}"
        if importlib.util.find_spec(name) is None:
            raise EngineError(
                f"the tracker {name!r} is not installed",
                where=where,
                hint=f"pip install 'tesuji[{name}]', or leave it out of report_to",
            )
        if name == "wandb" and not _wandb_may_write():
            raise EngineError(
                "Weights & Biases has no key on this machine",
                where=where,
                hint="wandb login, or set WANDB_API_KEY, or WANDB_MODE=offline",
            )


def _wandb_may_write() -> bool:
    if os.environ.get("WANDB_MODE") in ("offline", "disabled", "dryrun", "shared"):
        return True
    if os.environ.get("WANDB_DISABLED") or os.environ.get("WANDB_API_KEY"):
        return True
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").partition("://")[2].strip("/")
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
