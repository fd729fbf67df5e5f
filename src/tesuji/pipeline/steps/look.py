"""A short look at a policy while reinforcement learning goes on: the same tasks each time."""

from tesuji.core.seeds import stream
from tesuji.core.types import Task
from tesuji.episodes.arena import TurnRules, play_matches
from tesuji.episodes.results import score_of
from tesuji.episodes.rewards.total import Rewards
from tesuji.evaluation.evaluate import judged_game, turn_rules
from tesuji.evaluation.matches.against import ALONE, play_opponent, score_matches
from tesuji.evaluation.matches.exploitability import exploitability
from tesuji.evaluation.metrics import exploitability_metrics, match_metrics, question_metrics
from tesuji.evaluation.questions import ask, asks_questions, score_tasks
from tesuji.games.base import Game
from tesuji.games.poker.game import MBB
from tesuji.games.prompts import PromptsGame
from tesuji.learners.model.load import Policy
from tesuji.pipeline.step_context import model_player
from tesuji.players.base import Player
from tesuji.players.registry import make_player
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.sections import PlayerSection


def look(
    game: Game, policy: Policy, recipe: Recipe, rewards: Rewards, episodes: int
) -> dict[str, float]:
    """Figures by name, `score` among them, higher being better.

    Of matches, `episodes` against each of the evaluation's opponents: the mean score, 0 to 1, or
    with `evaluation.exploitability` minus that (or the NashConv), which no choice of opponents can
    flatter. Of questions and prompts, ones that no training sees: the mean return or reward.
    """
    section, seed = recipe.evaluation, recipe.seed
    player = model_player(policy, recipe, "evaluated", section.temperature)
    rules = turn_rules(recipe.prompt, section.max_moves)
    if isinstance(game, PromptsGame):
        return _rewards(game.held_out or game, player, rewards, episodes, seed, rules)
    judged = judged_game(game, section)
    if asks_questions(judged):
        return _questions(judged.held_out or judged, player, episodes, seed, rules)
    metrics = _matches(judged, player, section.opponents, episodes, seed, rules)
    if section.exploitability:
        measured = exploitability(judged, model_player(policy, recipe, "measured"))
        metrics |= exploitability_metrics(measured)
        metrics["score"] = -measured.value
    return metrics


def _matches(
    game: Game,
    player: Player,
    sections: list[PlayerSection],
    episodes: int,
    seed: int,
    rules: TurnRules,
) -> dict[str, float]:
    opponents: dict[str, Player] = {ALONE: player}
    if game.num_players > 1:
        opponents = {one.label: make_player(one, game=game) for one in sections}
    metrics: dict[str, float] = {}
    scores = []
    for label, opponent in opponents.items():
        played = play_opponent(
            game,
            player,
            opponent,
            episodes=episodes,
            seed=stream(seed, "look", label),
            rules=rules,
        )
        total = next(score_matches(label, played, in_big_blinds=MBB in game.info.metrics))
        metrics |= match_metrics(total)
        scores += [score_of(e, e.players.index("evaluated"), game.info) for e in played]
    metrics["score"] = sum(scores) / len(scores) if scores else 0.0
    return metrics


def _questions(
    game: Game, player: Player, episodes: int, seed: int, rules: TurnRules
) -> dict[str, float]:
    answered = ask(game, player, episodes=episodes, seed=stream(seed, "look"), rules=rules)
    total = score_tasks(game, [("held_out", answered)]).rows[0]
    right = question_metrics(total)["held_out/right"]
    return {"held_out/right": right, "score": total.mean_return}


def _rewards(
    game: Game, player: Player, rewards: Rewards, episodes: int, seed: int, rules: TurnRules
) -> dict[str, float]:
    tasks = [
        Task(game.name, stream(seed, "look", number), (player.name,), game.options)
        for number in range(episodes)
    ]
    played = list(play_matches(tasks, game=game, players={player.name: player}, rules=rules))
    rewards.prepare((episode, 0) for episode in played)
    earned = [sum(rewards(episode, 0).total) for episode in played]
    return {"held_out_reward": sum(earned) / len(earned), "score": sum(earned) / len(earned)}
