"""From named terms to one number a turn: names, options, other packages, what is no number."""

import math
import re
from dataclasses import replace
from importlib import metadata

import numpy as np
import pytest
from judged_matches import (
    GAMES,
    game_of,
    judged,
    play,
    random_matches,
)
from places import ROOT

from tesuji.core import plugins
from tesuji.core.errors import EngineError, RecipeError
from tesuji.episodes.reply_rules import TurnRules
from tesuji.episodes.results import score_of
from tesuji.episodes.rewards.base import Judged
from tesuji.episodes.rewards.total import BUILT_IN, PLUGINS, make_terms
from tesuji.recipe.schema.play import RewardTerm


def test_terms_are_weighted_added_and_kept_apart():
    episode = play("nonsense", "x(1,0)", "x(1,1)", "x(1,2)")
    found = judged(episode, 0, returns=1.0, legal=0.5, length={"weight": 2.0, "per": 10})
    assert found.parts["returns"] == (0.0, 0.0, 1.0)
    assert found.parts["legal"] == (-0.25, 0.0, 0.0)
    assert found.parts["length"] == pytest.approx((-2.8, -1.2, -1.2)), "both attempts cost"
    assert found.total == pytest.approx((-3.05, -1.2, -0.2))


def test_a_name_that_is_no_term():
    with pytest.raises(RecipeError) as caught:
        make_terms({"oracel": RewardTerm(weight=1.0)}, game_of)
    assert "there is no reward term 'oracel'" in str(caught.value)
    assert "did you mean oracle? known: returns, legal" in str(caught.value)


def test_the_docs_describe_every_term():
    page = (ROOT / "docs" / "rl.md").read_text(encoding="utf-8")
    section = page.partition("\n## Rewards")[2].partition("\n## ")[0]
    rows = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall("`(.+?)`", row)} == set(BUILT_IN)


def test_an_option_that_the_term_does_not_have():
    with pytest.raises(RecipeError) as caught:
        make_terms({"length": RewardTerm(weight=1.0, each=3)}, game_of)
    assert "the reward term length has no option 'each'" in str(caught.value)
    assert "its options: weight, per" in str(caught.value)
    with pytest.raises(RecipeError, match=r"did you mean simulations\? its options"):
        make_terms({"oracle": RewardTerm(weight=1.0, player="mcts", simulation=3)}, game_of)


def test_no_terms_at_all_and_a_reward_model_that_nobody_loaded():
    with pytest.raises(RecipeError, match="no term at all"):
        make_terms({}, game_of)
    rewards = make_terms({"reward_model": RewardTerm(weight=1.0)}, game_of)
    with pytest.raises(EngineError, match="no reward model has been loaded"):
        rewards(play("4", "3", "5"), 0)


def corner(bonus: float = 1.0):
    """A term of another package."""
    return lambda at: bonus * (at.turn.move is not None and at.turn.move.id in (0, 2, 6, 8))


def undefined(value: object = math.nan):
    return lambda at: value if at.place == 2 else 0.0


def seats(game_of, scale: float):
    """A term that asks for the game, with an option that has to be given."""
    return lambda at: scale * game_of(at.episode).num_players


def anything(**options: float):
    return lambda at: np.float32(sum(options.values()))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another package with two terms, found as `pip install` would make it found."""
    entries = metadata.EntryPoints(
        metadata.EntryPoint(name, f"{__name__}:{name}", "tesuji.rewards")
        for name in ("corner", "undefined", "seats", "anything", "missing")
    )
    real = plugins._declared

    def declared(group, path):
        return tuple(entries) if group == "tesuji.rewards" else real(group, path)

    monkeypatch.setattr(plugins, "_declared", declared)


@pytest.mark.usefixtures("installed")
def test_another_package_adds_a_term_with_options():
    episode = play("x(2,2)", "x(1,1)", rules=TurnRules(max_moves=4))
    assert judged(episode, 0, corner={"weight": 2.0, "bonus": 0.5}).total == (1.0, 0.0)
    assert PLUGINS.names(BUILT_IN)[-3:] == ("seats", "anything", "missing")
    with pytest.raises(RecipeError, match="did you mean corner"):
        judged(episode, 0, cornor=1.0)


@pytest.mark.usefixtures("installed")
def test_a_term_of_another_package_may_ask_for_the_game_and_need_options():
    episode = play("x(2,2)", "x(1,1)", rules=TurnRules(max_moves=4))
    assert judged(episode, 0, seats={"weight": 1.0, "scale": 1.5}).total == (3.0, 3.0)
    assert judged(episode, 0, anything={"weight": 2.0, "a": 1.0, "b": 0.5}).total == (3.0, 3.0)
    with pytest.raises(RecipeError, match=r"the reward term seats: missing a required .*'scale'"):
        judged(episode, 0, seats=1.0)
    with pytest.raises(RecipeError, match="seats has no option 'game_of'"):
        judged(episode, 0, seats={"weight": 1.0, "game_of": 3})


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("value", [math.inf, None, "good", pytest.param(10**400, id="huge")])
def test_what_is_not_a_finite_number_is_refused(value: object):
    episode = play("x(2,2)", "x(1,1)", rules=TurnRules(max_moves=4))
    with pytest.raises(EngineError, match="the reward term undefined gave"):
        judged(episode, 0, undefined={"weight": 0.0, "value": value})


@pytest.mark.usefixtures("installed")
def test_a_package_that_does_not_load_is_named():
    with pytest.raises(RecipeError, match=r"the reward term 'missing' of .* does not load"):
        make_terms({"missing": RewardTerm(weight=1.0)}, game_of)


@pytest.mark.usefixtures("installed")
def test_a_value_that_is_not_a_number_names_term_match_and_turn():
    episode = play("x(2,2)", "x(1,1)", seed=77, rules=TurnRules(max_moves=4))
    with pytest.raises(EngineError) as caught:
        judged(episode, 0, undefined=1.0)
    message = str(caught.value)
    assert "the reward term undefined gave nan for turn 2 of tic_tac_toe, seed 77" in message
    assert "mend the term" in message


def test_a_judged_turn_can_be_played_again():
    episode = play("x(1,0)", "x(1,1)", "x(1,2)")
    at = Judged(episode, GAMES["tic_tac_toe"], 4)
    assert at.match().observe(0) == episode.turns[4].observation
    assert at.turn.move.text == "x(1,2)"


def test_scores_are_returns_scaled_to_what_the_game_can_pay():
    ttt, kuhn = (GAMES[name].info for name in ("tic_tac_toe", "kuhn_poker"))
    won = play("x(1,0)", "x(1,1)", "x(1,2)")
    assert (score_of(won, 0, ttt), score_of(won, 1, ttt)) == (1.0, 0.0)
    assert score_of(replace(won, returns=(0.0, 0.0)), 0, ttt) == 0.5
    for episode in random_matches("kuhn_poker", 20):
        for seat in (0, 1):
            assert score_of(episode, seat, kuhn) == pytest.approx((episode.returns[seat] + 2) / 4)
    assert score_of(replace(won, returns=(9.0, -9.0)), 0, ttt) == 1.0, "never beyond 0..1"
    assert score_of(replace(won, returns=(9.0, -9.0)), 1, ttt) == 0.0


@pytest.mark.parametrize(
    ("returns", "scores"),
    [((3.0, 1.0), (1.0, 0.0)), ((2.0, 2.0), (0.5, 0.5)), ((5.0, 7.0, 7.0), (0.0, 0.5, 0.5))],
)
def test_where_a_game_has_no_bounds_the_best_other_seat_is_the_measure(returns, scores):
    info = replace(GAMES["tic_tac_toe"].info, max_utility=math.inf)
    episode = replace(play("?", "?"), returns=returns)
    assert tuple(score_of(episode, seat, info) for seat in range(len(returns))) == scores
