"""What can be refused of a reinforcement-learning stage before anything is computed."""

from typing import Any

from tesuji.core.errors import GameError, RecipeError, placed
from tesuji.episodes.rewards.total import check_fit, make_terms, section_of
from tesuji.episodes.schedule.schedule import Schedule
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.games.prompts import NAME as PROMPTS
from tesuji.players.registry import make_player
from tesuji.recipe.schema.play import SELF, SNAPSHOT, OpponentSection
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import PpoStage, RLStage
from tesuji.recipe.schema.sections import GameSection


def check_rl(recipe: Recipe, game: Game, name: str, stage: RLStage) -> None:
    """Games, opponents, rewards and sampling of the stage called `name`.

    Raises RecipeError or GameError naming the key.
    """
    where = f"stages.{name}"
    _check_sampling(recipe, where)
    _check_players(recipe, where, stage)
    _check_rewards(recipe, where, stage)
    _check_learned(recipe, name, stage)
    _check_prompts(recipe, game, name)
    if isinstance(stage, PpoStage) and stage.value_grad and stage.critic is not None:
        raise RecipeError(
            "value_grad is for a value head on the policy; a critic of its own has its own weights",
            where=f"{where}.value_grad",
            hint="leave one of value_grad and critic out",
        )


def _check_rewards(recipe: Recipe, where: str, stage: RLStage) -> None:
    """Every term is known, fits every game that is played, and something is paid."""
    terms = stage.rewards
    if terms and not any(term.weight for term in terms.values()):
        raise RecipeError(
            "every term has the weight 0: there is nothing to learn",
            where=f"{where}.rewards",
            hint="give one of them a weight, such as returns: 1.0",
        )
    with placed(f"{where}."):
        rewards = make_terms(terms, lambda episode: load_game(episode.game, episode.options))
        for section in _games(recipe, stage):
            check_fit(rewards, load_game(section.name, section.options))


def _games(recipe: Recipe, stage: RLStage) -> list[GameSection]:
    """The games that the stage plays, of every part of its curriculum."""
    parts: list[Any] = [*stage.play.curriculum] or [stage.play]
    return [one for part in parts for one in part.games or stage.play.games or [recipe.game]]


def _check_learned(recipe: Recipe, name: str, stage: RLStage) -> None:
    """A reward model, where the stage wants one, has been trained by then, or lies in a folder."""
    stages = list(recipe.stages.items())
    before = [n for n, s in stages[: list(recipe.stages).index(name)] if s.kind == "reward"]
    term = section_of(stage.rewards, "reward_model")
    wanted = term.options.get("stage") if term else None
    if wanted and wanted not in before:
        raise RecipeError(
            f"no reward stage {wanted!r} before this one",
            where=f"stages.{name}.rewards.reward_model.stage",
            hint=f"there are: {', '.join(before)}" if before else "add a `reward:` stage",
        )
    own = term is not None and not term.options.get("path")
    critic = isinstance(stage, PpoStage) and stage.critic == "reward_model"
    if (own or critic) and not before:
        raise RecipeError(
            "there is no reward model: no reward stage before it",
            where=f"stages.{name}.{'rewards.reward_model' if own else 'critic'}",
            hint="put a `reward:` stage in front, or name a folder",
        )


def _check_prompts(recipe: Recipe, game: Game, name: str) -> None:
    """The prompts game has prompts: a file, or a data stage in front."""
    before = list(recipe.stages)[: list(recipe.stages).index(name)]
    if game.name != PROMPTS or "file" in game.options:
        return
    if not any(recipe.stages[n].kind in ("data", "logs") for n in before):
        raise RecipeError(
            "there are no prompts to play",
            where="game.options.file",
            hint="name a JSONL file with `prompt` in every row, or put a data stage in front",
        )


def _check_sampling(recipe: Recipe, where: str) -> None:
    sampling, lora = recipe.sampling, recipe.model.adapters
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


def _check_winnable(stage: RLStage, game: Game) -> None:
    """A curriculum and the replay of failures go by what is won."""
    for key in ("curriculum", "failure_replay"):
        if getattr(stage.play, key) and not game.info.has_winners:
            raise RecipeError(
                f"nothing says of a match of {game.name} that it was won, so there is no failure "
                "and no success to go by",
                where=key,
                hint=f"leave {key} out: the returns are learned from without it",
            )


def _check_players(recipe: Recipe, where: str, stage: RLStage) -> None:
    """Every opponent can play every game of its own part of the curriculum."""
    parts: list[Any] = [*stage.play.curriculum] or [stage.play]
    with placed(f"{where}.play."):
        _check_games("games", stage.play.games)
        for number, part in enumerate(stage.play.curriculum):
            _check_games(f"curriculum.{number}.games", part.games)
        Schedule(stage.play, game=recipe.game, group_size=stage.num_generations, seed=0)
        for number, part in enumerate(parts):
            at = f"curriculum.{number}." if stage.play.curriculum else ""
            games = part.games or stage.play.games or [recipe.game]
            for section in games:
                _check_opponents(stage, section, part.opponents, at)


def _check_games(where: str, games: list[GameSection]) -> None:
    for number, section in enumerate(games):
        try:
            load_game(section.name, section.options)
        except GameError as error:
            error.where = f"{where}.{number}.{error.where.removeprefix('game.')}"
            raise


def _check_opponents(
    stage: RLStage, section: GameSection, opponents: list[OpponentSection], at: str
) -> None:
    game = load_game(section.name, section.options)
    _check_winnable(stage, game)
    for number, opponent in enumerate(opponents if game.num_players > 1 else ()):
        if opponent.player not in (SELF, SNAPSHOT):
            with placed(f"{at}opponents.{number}"):
                make_player(opponent, game=game)
