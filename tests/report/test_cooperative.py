"""Games that pay all seats alike: what is earned together is a score, and never a draw."""

import io
import random

import pytest
from rich.console import Console

from tesuji.core.errors import GameError
from tesuji.core.types import Task
from tesuji.episodes.arena import play_matches
from tesuji.episodes.reply_rules import TurnRules
from tesuji.episodes.results import result_of, success_of
from tesuji.evaluation.evaluate import Subject, evaluate
from tesuji.evaluation.matches.ladder import play_ladder
from tesuji.evaluation.metrics import evaluation_metrics
from tesuji.games.catalogue import load_game
from tesuji.players.basic.random import RandomPlayer
from tesuji.recipe.schema.recipe import EvaluationSection
from tesuji.recipe.schema.sections import PlayerSection, PromptSection
from tesuji.report.headline import headline
from tesuji.report.tables.matches import evaluation_table

PAID_ALIKE = [
    *("bridge_uncontested_bidding", "coop_box_pushing", "coin_game", "hanabi"),
    *("lewis_signaling", "matrix_coordination", "tiny_bridge_2p", "tiny_hanabi", "trade_comm"),
]


@pytest.mark.parametrize("name", PAID_ALIKE)
def test_nobody_beats_anybody_where_all_are_paid_alike(name: str) -> None:
    game = load_game(name, {})
    assert game.info.cooperative
    for seed in range(3):
        match, draw = game.start(seed), random.Random(seed)
        while match.to_act:
            seat = match.to_act[0]
            match.play(seat, draw.choice(match.legal_moves(seat) or ()))
        assert len(set(match.returns())) == 1


@pytest.mark.parametrize("name", ["kuhn_poker", "tic_tac_toe", "negotiation", "blackjack"])
def test_other_games_have_winners(name: str) -> None:
    assert not load_game(name, {}).info.cooperative


def test_what_is_earned_together_is_a_score() -> None:
    found = evaluate(
        Subject("before", "random", RandomPlayer()),
        EvaluationSection(episodes=12, opponents=[PlayerSection(player="random")]),
        game=load_game("tiny_hanabi", {}),
        prompt=PromptSection(),
        questions=(),
        seed=1,
    )
    total = found.matches[0]
    assert (total.unjudged, total.wins, total.draws, total.losses) == (12, 0, 0, 0)
    assert 0 < total.mean_return <= 10
    metrics = evaluation_metrics(found)
    assert metrics["random/mean_return"] == total.mean_return
    assert "random/win_rate" not in metrics and "random/loss_rate" not in metrics
    said = headline(found)
    assert said.mood == "open" and "lost" not in said.sentence
    assert f"with random mean return {total.mean_return:+.4g}" in said.sentence
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(evaluation_table(found, found, 80))
    text = console.export_text()
    assert "no verdict" in text and "with random" in text and "mean return" in text
    assert "0%" not in text


def test_success_is_still_a_score_over_a_half() -> None:
    game, rules = load_game("tiny_hanabi", {}), TurnRules()
    tasks = [Task(game.name, seed, ("r", "r")) for seed in range(20)]
    played = list(play_matches(tasks, game=game, players={"r": RandomPlayer()}, rules=rules))
    assert {result_of(episode, 0) for episode in played} == {"unknown"}
    for episode in played:
        assert success_of(episode, 1, game.info) == (episode.returns[1] > 5)


def test_a_ladder_of_a_cooperative_game_is_refused() -> None:
    entrants = {"one": RandomPlayer(), "two": RandomPlayer()}
    with pytest.raises(GameError, match="pays all seats alike"):
        play_ladder(load_game("hanabi", {}), entrants, episodes=2, seed=1, rules=TurnRules())
