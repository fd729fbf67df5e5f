"""What can be refused of a reinforcement-learning stage before anything is computed."""

from typing import Any

from tesuji.core.errors import GameError, RecipeError
from tesuji.episodes.rewards import make_terms
from tesuji.episodes.schedule import Schedule
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.players.registry import make_player
from tesuji.recipe.play import SELF, SNAPSHOT
from tesuji.recipe.rl import PpoStage, RLStage
from tesuji.recipe.schema import Recipe


def check_rl(recipe: Recipe, game: Game, name: str, stage: RLStage) -> None:
    """Games, opponents, rewards and sampling of the stage called `name`.

    Raises RecipeError or GameError naming the key.
    """
    where = f"stages.{name}"
    _check_sampling(recipe, where)
    _check_players(recipe, where, stage)
    make_terms(stage.rewards, lambda episode: load_game(episode.game, episode.options))
    if isinstance(stage, PpoStage) and stage.value_grad and stage.critic is not None:
        raise RecipeError(
            "value_grad is for a value head on the policy; a critic of its own has its own weights",
            where=f"{where}.value_grad",
            hint="leave one of value_grad and critic out",
        )
    if stage.stop_when == "certificate" and "certificate" not in game.info.metrics:
        raise RecipeError(
            f"{game.name} is not a game whose whole tree can be walked",
            where=f"{where}.stop_when",
            hint="leave stop_when out; `tesuji games` shows which games have a certificate",
        )


def _check_sampling(recipe: Recipe, where: str) -> None:
    sampling, lora = recipe.sampling, recipe.model.lora
    if sampling.temperature == 0:
        raise RecipeError(
            "nothing is learned from greedy replies",
            where="sampling.temperature",
            hint=f"set it to 1.0: {where} needs replies that differ",
        )
    if sampling.top_p < 1:
        raise RecipeError(
            "reinforcement learning needs the probabilities of all tokens",
            where="sampling.top_p",
            hint="set it to 1.0",
        )
    if lora is not None and lora.dropout:
        raise RecipeError(
            "dropout makes the policy that is trained another one than the policy that played",
            where="model.lora.dropout",
            hint="set it to 0 for reinforcement learning",
        )


def _check_players(recipe: Recipe, where: str, stage: RLStage) -> None:
    """Every opponent can play every game of its own part of the curriculum."""
    try:
        Schedule(stage.play, game=recipe.game, group_size=stage.num_generations, seed=0)
        parts: list[Any] = [*stage.play.curriculum] or [stage.play]
        for part in parts:
            games = part.games or stage.play.games or [recipe.game]
            for section in games:
                game = load_game(section.name, section.options)
                for opponent in part.opponents:
                    if opponent.player not in (SELF, SNAPSHOT):
                        make_player(opponent, game=game)
    except (GameError, RecipeError) as error:
        error.where = f"{where}.play" if not error.where else f"{where}.play: {error.where}"
        raise
