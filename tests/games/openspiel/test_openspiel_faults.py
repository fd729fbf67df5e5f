"""Known faults of OpenSpiel: a failure here means that one has been mended."""

import random
import subprocess
import sys
from typing import Any

import pyspiel
import pytest
from openspiel_games import INFOS, load

from tesuji.core.types import Move
from tesuji.players.registry import can_play


def test_fault_the_state_as_text_shows_hidden_cards() -> None:
    match = load("leduc_poker").start(1)
    cards = match.state.history()[:2]
    assert f"Cards (public player_0 player_1): -10000 {cards[0]} {cards[1]}" in match.render()
    assert f"[Private: {cards[0]}]" in match.observe(0)
    assert str(cards[1]) not in match.observe(0).split("[Private: ")[1][:2]


@pytest.mark.parametrize("name", ["hearts", "liars_dice", "oh_hell", "sheriff", "tarok"])
def test_fault_no_observation_string(name: str) -> None:
    game = load(name)
    with pytest.raises(pyspiel.SpielError):
        game.start(1).state.observation_string(0)
    assert game.start(1).observe(0)


def test_fault_repeated_leduc_shows_the_hand_that_won_by_a_fold() -> None:
    match = load("repeated_leduc_poker").start(4)
    for text in ("Call", "Raise", "Fold"):
        seat = match.to_act[0]
        match.play(seat, next(m for m in match.legal_moves(seat) if m.text == text))
    first, second = match.state.history()[:2]
    assert f"-10000 {first} {second}" in match.state.information_state_string(0)
    assert f"-10000 {first} ?" in match.observe(0)
    assert f"-10000 ? {second}" in match.observe(1)


def test_fault_go_fish_tells_which_card_was_drawn() -> None:
    match, draw = load("go_fish").start(1), random.Random(1)
    told = 0
    for _ in range(20):
        if not match.to_act:
            break
        for seat in (0, 1):
            told += "asked -3 for" in match.state.information_state_string(seat)
            assert "asked -3" not in match.observe(seat)
        seat = match.to_act[0]
        match.play(seat, draw.choice(match.legal_moves(seat)))
    assert told > 3


def test_fault_some_information_states_are_only_numbers() -> None:
    match = load("blackjack").start(2)
    assert match.state.information_state_string(0).replace(" ", "").isdigit()
    assert "Dealer: Cards: ??" in match.observe(0)
    assert "T=" in load("battleship").start(0).state.information_state_string(0)
    assert "+----------+" in load("battleship").start(0).observe(0)


def test_fault_a_board_without_its_die() -> None:
    match = load("einstein_wurfelt_nicht").start(1)
    state = match.state.clone()
    state.apply_action(state.legal_actions()[0])
    assert state.is_chance_node()
    rolls = [state.child(roll) for roll, _ in state.chance_outcomes()]
    assert len({roll.observation_string(0) for roll in rolls}) == 1
    assert len({tuple(roll.legal_actions()) for roll in rolls}) > 1


@pytest.mark.parametrize("name", ["negotiation", "tarok", "bridge_uncontested_bidding"])
def test_fault_matches_that_share_a_game_change_each_other(name: str) -> None:
    spiel = pyspiel.load_game(name, {"rng_seed": 5})
    first, second = deal(spiel), deal(spiel)
    assert first != second  # the second deal depends on there having been a first
    assert load(name).draws_inside


def deal(spiel: Any) -> str:
    state = spiel.new_initial_state()
    while state.is_chance_node():
        state.apply_action(state.legal_actions()[0])
    return str([state.legal_actions(), str(state)])


def test_fault_mcts_accepts_games_with_hidden_cards() -> None:
    game = load("kuhn_poker")
    evaluator = pyspiel.RandomRolloutEvaluator(1, 3)
    bot = pyspiel.MCTSBot(game.spiel, evaluator, 2.0, 200, 50, True, 3, False)
    for seed in range(30):
        match = game.start(seed)
        mine, theirs = match.state.history()[:2]
        match.play(0, Move(1, "Bet"))
        chosen = bot.step(match.state)
        assert chosen == (1 if theirs > mine else 0)  # calls exactly when it wins: it looked
    assert not can_play("mcts", INFOS["kuhn_poker"])


def test_fault_crossword_has_no_numbered_actions() -> None:
    with pytest.raises(pyspiel.SpielError, match="LegalActions unimplemented"):
        pyspiel.load_game("crossword").new_initial_state().legal_actions(0)


def test_fault_twixt_writes_terminal_colours() -> None:
    assert "\x1b[" in str(pyspiel.load_game("twixt").new_initial_state())
    assert "\x1b[" not in load("twixt").start(0).render()


ISMCTS_AT_HEARTS = """
import pyspiel, random
game = pyspiel.load_game("hearts")
for seed in range(40):
    draw, state = random.Random(seed), game.new_initial_state()
    bot = pyspiel.ISMCTSBot(3, pyspiel.RandomRolloutEvaluator(1, seed), 2.0, 20, -1,
        pyspiel.ISMCTSFinalPolicyType.NORMALIZED_VISIT_COUNT, False, False)
    for _ in range(80):
        if state.is_terminal(): break
        thinks = not state.is_chance_node() and len(state.history()) % 2 == 0
        state.apply_action(bot.step(state) if thinks else draw.choice(state.legal_actions()))
"""


@pytest.mark.parametrize(
    "code",
    [
        ISMCTS_AT_HEARTS,
        "import pyspiel; pyspiel.load_game('universal_poker', {'numPlayers': 3})",
        "import pyspiel; pyspiel.load_game('hanabi', {'colors': 9})",
    ],
    ids=["ismcts at hearts", "too few stacks", "too many colours"],
)
def test_fault_the_process_dies(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert done.returncode < 0  # killed by a signal
