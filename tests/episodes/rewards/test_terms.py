"""Reward terms on matches that the arena really played, forfeits and random openings included."""

import math

import pytest
from judged_matches import (
    game_of,
    judged,
    losses,
    play,
    random_matches,
)

from tesuji.core.errors import RecipeError
from tesuji.core.types import Ending
from tesuji.episodes.reply_rules import TurnRules
from tesuji.episodes.rewards.total import BUILT_IN, TurnRewards, make_terms
from tesuji.recipe.schema.play import RewardTerm

FOR_OTHER_GAMES = ("tool_format", "wordle_partial", "wordle_turns", "wordle_bits")


def test_returns_of_a_won_match_go_to_the_turn_that_won():
    episode = play("x(1,0)", "x(1,1)", "x(1,2)")
    assert judged(episode, 0, returns=1.0).total == (0.0, 0.0, 1.0)
    assert judged(episode, 1, returns=2.0).total == (0.0, -2.0)


@pytest.mark.parametrize("game", ["tic_tac_toe", "kuhn_poker"])
def test_returns_add_up_to_what_the_game_paid(game: str):
    for episode in random_matches(game, 30):
        for seat in (0, 1):
            found = judged(episode, seat, returns=1.0).total
            assert sum(found) == pytest.approx(episode.returns[seat])
            assert len(found) == sum(turn.seat == seat for turn in episode.turns)


def test_a_forfeit_is_paid_and_punished_at_the_turn_that_lost_the_match():
    episode = play("x(1,1)", "what?", "no idea")
    assert episode.ending is Ending.FORFEIT
    found = judged(
        episode, 0, returns=1.0, legal=1.0, format=1.0, oracle=1.0, tictactoe_table=1.0, length=1.0
    )
    assert found.parts["returns"] == (0.0, -1.0)
    assert found.parts["legal"] == (0.0, -1.0)
    assert found.parts["format"] == (1.0, 0.0)
    assert found.parts["tictactoe_table"] == (0.6, -1.0)
    assert found.parts["oracle"][1] < min(losses(episode, 2).values())
    assert found.parts["length"] == pytest.approx((-0.06, -0.12))
    assert sum(judged(episode, 1, returns=1.0).total) == 1.0


def test_a_move_put_in_the_seats_place_is_not_taken_for_its_own():
    rules = TurnRules(retry=False, on_illegal="random", max_moves=2)
    episode = play("hm", seed=3, rules=rules)
    assert episode.turns[0].played is not None
    found = judged(episode, 0, legal=1.0, format=1.0, tictactoe_table=1.0)
    assert found.parts == {"legal": (-1.0,), "format": (0.0,), "tictactoe_table": (-1.0,)}


@pytest.mark.parametrize("name", sorted(set(BUILT_IN) - {*FOR_OTHER_GAMES, "reward_model"}))
def test_random_opening_moves_are_worth_nothing(name: str):
    checked = 0
    for episode in random_matches("tic_tac_toe", 10, opening=5):
        for seat in (0, 1):
            turns = [turn for turn in episode.turns if turn.seat == seat]
            found = judged(episode, seat, **{name: 1.0}).total
            opened = [value for t, value in zip(turns, found, strict=True) if not t.attempts]
            assert opened == [0.0] * len(opened)
            checked += len(opened)
    assert checked == 50


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ("x(1,1)", 1.0),
        (" 4\n", 1.0),
        ("<think>the centre\nis best</think>\nx(1,1)", 1.0),
        ("I play x(1,1)", 0.0),
        ("x(1,1)!", 0.0),
        ("my move: 4", 0.0),
        ("X 1, 1", 0.0),
        ("<think>x(1,1)", 0.0),
    ],
)
def test_format_wants_the_answer_and_nothing_else(reply: str, value: float):
    episode = play(reply, rules=TurnRules(retry=False, on_illegal="random", max_moves=2))
    assert judged(episode, 0, format=1.0).total == (value,)


def test_format_looks_at_the_reply_that_counted():
    rules = TurnRules(max_moves=2)
    assert judged(play("hello", "4", rules=rules), 0, format=1.0).total == (1.0,)


def test_a_seat_that_never_had_a_turn_gets_no_rewards():
    episode = play("?", rules=TurnRules(retry=False))
    found = judged(episode, 1, returns=1.0)
    assert found == TurnRewards((), {"returns": ()})


@pytest.mark.parametrize("per", [0, -5.0, "many", True, math.inf, math.nan])
def test_length_needs_a_number_of_tokens(per):
    with pytest.raises(RecipeError, match="per must be a number of tokens above 0"):
        make_terms({"length": RewardTerm(weight=1.0, per=per)}, game_of)


class Longer:
    """A stand-in for a learned model: longer replies are better. Counts how often it is asked."""

    asked = 0

    def score(self, items):
        self.asked += 1
        return [float(len(reply)) for _, reply in items]


def test_a_learned_reward_scores_all_replies_of_a_rollout_at_once():
    model = Longer()
    rewards = make_terms({"reward_model": RewardTerm(weight=0.5)}, game_of, model)
    first, second = play("4", " 3 ", "5"), play("nothing", "4", "3", "5")
    rewards.prepare([(first, 0), (second, 0)])
    assert model.asked == 1
    assert rewards(first, 0).total == (0.5, 1.5, 0.5)
    assert rewards(second, 0).total == (0.5, 0.5, 0.5)  # the retry counts
    assert model.asked == 1
    assert rewards(play("4", "3", "5"), 0).total[0] == 0.5 and model.asked > 1  # judged when met
