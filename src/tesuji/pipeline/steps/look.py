"""A short look at a policy while reinforcement learning goes on: the same tasks each time.

Of several processes all take it at the same moment: each plays its share, and all have the figures.
"""

from collections.abc import Sequence

from tesuji.core.seeds import stream
from tesuji.core.types import Episode, Task
from tesuji.episodes.reply_rules import TurnRules
from tesuji.episodes.results import score_of
from tesuji.episodes.rewards.total import Rewards
from tesuji.evaluation.evaluate import judged_game, turn_rules
from tesuji.evaluation.matches.against import (
    ALONE,
    EVALUATED,
    label_of,
    play_shared,
    score_matches,
    tasks_against,
)
from tesuji.evaluation.matches.exploitability import exploitability
from tesuji.evaluation.metrics import exploitability_metrics, match_metrics, question_metrics
from tesuji.evaluation.questions import asks_questions, score_tasks, tasks_of
from tesuji.games.base import Game
from tesuji.games.poker.game import MBB
from tesuji.games.prompts import PromptsGame
from tesuji.learners.distributed import on_main, shared_out
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
    player = model_player(policy, recipe, EVALUATED, section.temperature)
    rules = turn_rules(recipe.prompt, section.max_moves)
    if isinstance(game, PromptsGame):
        return _rewards(game.held_out or game, player, rewards, episodes, seed, rules)
    judged = judged_game(game, section)
    if asks_questions(judged):
        return _questions(judged.held_out or judged, player, episodes, seed, rules)
    metrics = _matches(judged, player, section.opponents, episodes, seed, rules)
    if section.exploitability:
        measured = on_main(exploitability)(judged, model_player(policy, recipe, "measured"))
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
        tasks = tasks_against(game, opponent, episodes, stream(seed, "look", label))
        players = {EVALUATED: player, label_of(opponent): opponent}
        played = play_shared(tasks, game, players, rules, shared_out)
        total = next(score_matches(label, played, in_big_blinds=MBB in game.info.metrics))
        metrics |= match_metrics(total)
        scores += [score_of(e, e.players.index(EVALUATED), game.info) for e in played]
    metrics["score"] = sum(scores) / len(scores) if scores else 0.0
    return metrics


def _questions(
    game: Game, player: Player, episodes: int, seed: int, rules: TurnRules
) -> dict[str, float]:
    tasks = tasks_of(game, episodes, stream(seed, "look"))
    answered = play_shared(tasks, game, {EVALUATED: player}, rules, shared_out)
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
    played = play_shared(tasks, game, {player.name: player}, rules, shared_out)
    earned = on_main(_earned)(rewards, played)
    return {"held_out_reward": sum(earned) / len(earned), "score": sum(earned) / len(earned)}


def _earned(rewards: Rewards, played: Sequence[Episode]) -> list[float]:
    rewards.prepare((episode, 0) for episode in played)
    return [sum(rewards(episode, 0).total) for episode in played]
