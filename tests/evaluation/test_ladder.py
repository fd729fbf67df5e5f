"""The ladder puts the stronger above the weaker, and says how sure it is."""

from pathlib import Path

import pytest
from made_recipes import recipe_of
from typer.testing import CliRunner

from tesuji.core.errors import GameError
from tesuji.episodes.reply_rules import TurnRules
from tesuji.evaluation.matches.ladder import play_ladder, rated
from tesuji.games.catalogue import load_game
from tesuji.pipeline.run import run_recipe
from tesuji.players.basic.random import RandomPlayer
from tesuji.players.search.minimax import MinimaxPlayer


def test_the_stronger_player_stands_above_the_weaker() -> None:
    game = load_game("tic_tac_toe", {})
    entrants = {"random": RandomPlayer(), "minimax": MinimaxPlayer(), "again": RandomPlayer()}
    for name, player in entrants.items():
        player.name = name
    found = play_ladder(game, entrants, episodes=40, seed=1, rules=TurnRules())
    assert found.rungs[0].name == "minimax"
    assert found.rungs[0].losses == 0
    assert found.rungs[0].interval.low > found.rungs[1].interval.high
    assert sum(found.pairs["random", "minimax"]) == 40
    assert found == play_ladder(game, entrants, episodes=40, seed=1, rules=TurnRules())


def test_equals_are_rated_alike_and_less_surely_after_few_matches() -> None:
    few = rated(["a", "b"], [("a", "b", 1.0), ("a", "b", 0.0)], seed=1)
    many = rated(["a", "b"], [("a", "b", float(n % 2)) for n in range(200)], seed=1)
    width = {id(one): one.rungs[0].interval.high - one.rungs[0].interval.low for one in (few, many)}
    assert width[id(many)] < width[id(few)]
    assert abs(many.rungs[0].rating - many.rungs[1].rating) < 1


def test_alpha_rank_sees_a_circle_that_ratings_cannot() -> None:
    circle = [("a", "b", 1.0), ("b", "c", 1.0), ("a", "c", 0.0)] * 50
    shares = {rung.name: rung.alpha_rank for rung in rated(["a", "b", "c"], circle, seed=1).rungs}
    assert all(abs(share - 1 / 3) < 0.01 for share in shares.values())
    best = rated(["a", "b", "c"], [("a", "b", 1.0), ("a", "c", 1.0), ("b", "c", 1.0)] * 50, seed=1)
    assert best.rungs[0].name == "a" and best.rungs[0].alpha_rank > 0.95
    unsure = rated(["a", "b"], [("a", "b", 1.0), ("a", "b", 0.0)], seed=1).rungs[0]
    assert unsure.alpha_interval.low < 0.1 and unsure.alpha_interval.high > 0.9


def test_games_for_one_seat_have_no_ladder() -> None:
    players = {"a": RandomPlayer(), "b": RandomPlayer()}
    with pytest.raises(GameError, match="catch has one seat, so that nobody meets on a ladder"):
        play_ladder(load_game("catch"), players, episodes=4, seed=1, rules=TurnRules())


def test_a_runs_models_can_be_put_on_the_ladder(tmp_path: Path, monkeypatch) -> None:
    from tesuji.cli.evaluate import ladder

    run_recipe(recipe_of(), tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(ladder.app, ["small", "--episodes", "4"])
    assert done.exit_code == 0, done.output
    for name in ("before", "rl", "rl at 2", "random"):
        assert name in done.output
