"""What the facts about OpenSpiel games promise: searches and measures work where listed."""

import pyspiel
import pytest
from openspiel_games import INFOS, PLAYABLE, load

from tesuji.core.types import Move
from tesuji.games.openspiel.facts import (
    ENUMERABLE,
    ISMCTS,
    SOLVABLE,
    few_histories,
    few_positions,
)
from tesuji.players.registry import can_play


@pytest.mark.parametrize("name", [n for n in PLAYABLE if can_play("mcts", INFOS[n])])
def test_mcts_can_play_where_it_is_listed(name: str) -> None:
    game = load(name)
    bot = pyspiel.MCTSBot(
        game.spiel, pyspiel.RandomRolloutEvaluator(1, 3), 2.0, 4, 50, False, 3, False
    )
    match = game.start(1)
    move = bot.step(match.state)
    match.play(match.to_act[0], Move(move, ""))


@pytest.mark.parametrize("name", sorted(ISMCTS))
def test_ismcts_can_play_where_it_is_listed(name: str) -> None:
    game = load(name)
    assert can_play("ismcts", INFOS[name])
    final = pyspiel.ISMCTSFinalPolicyType.NORMALIZED_VISIT_COUNT
    evaluator = pyspiel.RandomRolloutEvaluator(1, 3)
    no_text = not game.kind.provides_information_state_string
    bot = pyspiel.ISMCTSBot(3, evaluator, 2.0, 5, -1, final, no_text, False)
    match = game.start(1)
    match.play(match.to_act[0], Move(bot.step(match.state), ""))


@pytest.mark.parametrize("name", sorted(ENUMERABLE))
def test_small_perfect_information_games_are_small(name: str) -> None:
    assert few_positions(load(name).spiel, 10_000)


@pytest.mark.parametrize("name", sorted(SOLVABLE))
def test_small_hidden_information_games_are_small(name: str) -> None:
    assert few_histories(load(name).spiel, 100_000)


@pytest.mark.parametrize("name", sorted(SOLVABLE - {"tiny_bridge_2p"}))
def test_exploitability_and_cfr_work_where_they_are_listed(name: str) -> None:
    spiel = load(name).spiel
    assert pyspiel.nash_conv(spiel, pyspiel.UniformRandomPolicy(spiel)) >= 0
    pyspiel.CFRSolver(spiel).evaluate_and_update_policy()
    assert {"exploitability", "nash_conv"} & set(INFOS[name].metrics)


def test_big_games_are_not_small() -> None:
    assert not few_positions(load("connect_four").spiel, 5_000)
    assert not few_histories(load("liars_dice").spiel, 20_000)
