"""Every OpenSpiel game through the adapter: matches, hidden information, seeds, known faults."""

import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pyspiel
import pytest

from tesuji.core.errors import GameError, IllegalMove
from tesuji.core.types import Move
from tesuji.games.base import play_through
from tesuji.games.catalogue import load_game
from tesuji.games.openspiel import family as openspiel_family
from tesuji.games.openspiel.facts import (
    ENUMERABLE,
    ISMCTS,
    SOLVABLE,
    few_histories,
    few_positions,
)
from tesuji.games.openspiel.game import OpenSpielGame, OpenSpielMatch
from tesuji.players.registry import can_play

FACTS = (openspiel_family.info(name) for name in openspiel_family.names())
INFOS = {info.name: info for info in FACTS if not info.unavailable}
PLAYABLE = sorted(INFOS)
CAP = 60  # turns of a random match
NOTHING_TO_SEE = {"coordinated_mp", "repeated_game"}  # at the first move


# Their double-dummy solver takes half a second a match.
QUICKER: dict[str, dict[str, Any]] = {
    "bridge": {"use_double_dummy_result": False},
    "bridge_uncontested_bidding": {"num_redeals": 1},
}


def load(name: str, **options: Any) -> OpenSpielGame:
    game = load_game(name, options or QUICKER.get(name))
    assert isinstance(game, OpenSpielGame)
    return game


def moves_of(match: OpenSpielMatch, draw: random.Random) -> Iterator[tuple[Any, ...]]:
    """Play at random; before each move yield who moves, what it is shown, what it may do, does."""
    for _ in range(CAP):
        if not match.to_act:
            break
        seat = draw.choice(match.to_act)
        legal = match.legal_moves(seat)
        move = draw.choice(legal)
        yield seat, match.observe(seat), legal, move
        match.play(seat, move)
    yield match.to_act, match.returns(), match.render()


# --- all games ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLAYABLE)
def test_random_matches_keep_to_the_facts(name: str) -> None:
    game = load(name)
    info = game.info
    assert INFOS[name].seats[0] <= game.num_players <= INFOS[name].seats[1]
    for seed in (1, 2):
        match = game.start(seed)
        roles = [match.role(seat) for seat in range(game.num_players)]
        assert len(set(roles)) == len(roles) and all(roles)
        draw = random.Random(seed)
        for _ in range(CAP):
            if not match.to_act:
                break
            assert len(match.returns()) == game.num_players
            views = [match.observe(seat) for seat in range(game.num_players)]
            assert any(views) or name in NOTHING_TO_SEE
            for seat in match.to_act:
                legal = match.legal_moves(seat)
                assert legal
                assert len({move.id for move in legal}) == len(legal)
                assert len({move.text for move in legal}) == len(legal)
            assert match.position() and match.render() is not None
            seat = match.to_act[0]
            match.play(seat, draw.choice(match.legal_moves(seat)))
        if match.to_act:
            continue
        returns = match.returns()
        if info.zero_sum:
            assert sum(returns) == pytest.approx(0.0, abs=1e-6)
        assert all(info.min_utility <= value <= info.max_utility for value in returns)
        assert all(match.observe(seat) is not None for seat in range(game.num_players))
        assert match.position()


@pytest.mark.parametrize("name", sorted(QUICKER))
def test_bridge_in_its_default_form(name: str) -> None:
    game = load_game(name)
    assert isinstance(game, OpenSpielGame) and not game.options
    *turns, (to_act, returns, _) = moves_of(game.start(1), random.Random(1))
    assert turns and to_act == () and any(returns)


@pytest.mark.parametrize("name", PLAYABLE)
def test_a_seed_gives_one_match_whatever_else_is_played(name: str) -> None:
    game = load(name)
    alone = {seed: list(moves_of(game.start(seed), random.Random(seed))) for seed in (3, 4)}
    running = {seed: moves_of(game.start(seed), random.Random(seed)) for seed in (4, 3)}
    together: dict[int, list[Any]] = {3: [], 4: []}
    while running:
        for seed, steps in list(running.items()):
            step = next(steps, None)
            if step is None:
                del running[seed]
            else:
                together[seed].append(step)
    assert together == alone


@pytest.mark.parametrize("name", PLAYABLE)
def test_a_clone_has_the_same_future_and_goes_its_own_way(name: str) -> None:
    match, draw = load(name).start(5), random.Random(5)
    for _ in range(3):
        if match.to_act:
            seat = match.to_act[-1]
            match.play(seat, draw.choice(match.legal_moves(seat)))
    twin, stray = match.clone(), match.clone()
    before = match.render(), match.to_act
    list(moves_of(stray, random.Random(99)))
    assert (match.render(), match.to_act) == before
    assert list(moves_of(twin, random.Random(7))) == list(moves_of(match, random.Random(7)))


# --- hidden information ------------------------------------------------------------------


def deals(name: str, **options: Any) -> dict[tuple[int, ...], int]:
    """Seeds by the cards (or dice) they deal to the seats, one each."""
    game = load(name, **options)
    found: dict[tuple[int, ...], int] = {}
    for seed in range(300):
        state = game.start(seed).state
        found.setdefault(tuple(state.history()[: game.num_players]), seed)
    return found


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("kuhn_poker", {}),
        ("kuhn_poker", {"players": 3}),
        ("leduc_poker", {}),
        ("liars_dice", {}),
        ("repeated_leduc_poker", {}),
    ],
)
def test_a_view_does_not_change_with_another_seats_cards(
    name: str, options: dict[str, int]
) -> None:
    game, seeds = load(name, **options), deals(name, **options)
    hidden = shown = 0
    for cards, seed in seeds.items():
        for others, other_seed in seeds.items():
            differing = [seat for seat in range(game.num_players) if cards[seat] != others[seat]]
            if len(differing) != 1:
                continue
            holder, draw = differing[0], random.Random(seed)
            one, two = game.start(seed), game.start(other_seed)
            while one.to_act and two.to_act and same_but(one, two, holder):
                for seat in range(game.num_players):
                    if seat != holder:
                        assert one.observe(seat) == two.observe(seat)
                        assert one.legal_moves(seat) == two.legal_moves(seat)
                        hidden += 1
                shown += one.observe(holder) != two.observe(holder)
                assert one.render() != two.render()
                move = draw.choice(one.legal_moves(one.to_act[0]))
                one.play(one.to_act[0], move)
                two.play(two.to_act[0], move)
                if name.startswith("repeated") and "Continue" in str(one.legal_moves(0)):
                    break  # cards may be laid open at the end of a hand
    assert hidden > 20 and shown > 10


def same_but(one: OpenSpielMatch, two: OpenSpielMatch, holder: int) -> bool:
    """Whether all that happened is the same but for the card dealt to `holder`."""
    first, second = list(one.state.history()), list(two.state.history())
    first[holder] = second[holder]
    return first == second


HIDING = sorted(
    name
    for name, info in INFOS.items()
    if info.information == "imperfect"
    and info.chance
    and not info.simultaneous
    and load(name).num_players > 1
    and not load(name).draws_inside
)
# Nothing that chance decides is told to one seat alone, or what it is comes after all choices.
NOTHING_DEALT = {"bargaining", "colored_trails", "coordinated_mp", "turn_based_simultaneous_game"}
# The tensor leaves out what is public in the text: an upcard, the order of discards, open hands.
COARSE_TENSOR = {"gin_rummy", "hanabi", "repeated_leduc_poker"}


@pytest.mark.parametrize("name", HIDING)
def test_a_view_says_no_more_than_openspiels_tensor_and_no_less_than_the_moves(name: str) -> None:
    """Replace one chance outcome. Where the tensor of a seat stays the same, so must what we show
    that seat; where what we show stays the same, so must its legal moves."""
    game = load(name)
    hidden = 0
    for seed in range(4):
        for state, other in swapped_deals(game.spiel, random.Random(seed)):
            for seat in range(game.num_players):
                same_view = game.view(state, seat) == game.view(other, seat)
                hidden += same_view
                if name not in COARSE_TENSOR and tensor(state, seat) == tensor(other, seat):
                    assert same_view
            seat = state.current_player()
            if game.view(state, seat) == game.view(other, seat):
                assert named(state, seat) == named(other, seat)
    assert (hidden == 0) == (name in NOTHING_DEALT)


def tensor(state: Any, seat: int) -> object:
    """OpenSpiel's numbers for what `seat` knows; unequal to any other where there are none."""
    kind = state.get_game().get_type()
    if kind.provides_information_state_string and kind.provides_information_state_tensor:
        return state.information_state_tensor(seat)
    if kind.provides_observation_tensor and not kind.provides_information_state_string:
        return state.observation_tensor(seat)
    return object()


def named(state: Any, seat: int) -> list[str]:
    return [state.action_to_string(seat, action) for action in state.legal_actions()]


def swapped_deals(spiel: Any, draw: random.Random) -> Iterator[tuple[Any, Any]]:
    """Along a random match: its states, and the same with one chance outcome another one."""
    state, dealt = spiel.new_initial_state(), []
    for _ in range(80):
        if state.is_terminal():
            return
        if state.is_chance_node():
            actions, weights = zip(*state.chance_outcomes(), strict=True)
            action = draw.choices(actions, weights)[0]
            dealt.append((len(state.history()), action, [a for a in actions if a != action]))
        else:
            action = draw.choice(state.legal_actions())
        state.apply_action(action)
        if state.is_terminal() or state.is_chance_node():
            continue
        other = swapped(spiel, state.history(), dealt, draw)
        if other is None or other.current_player() != state.current_player():
            continue
        if str(other) != str(state):
            yield state, other


def swapped(spiel: Any, history: list[int], dealt: list[Any], draw: random.Random) -> Any:
    """The same history with one deal exchanged (for a card that comes later, if it does)."""
    at, old, others = draw.choice(dealt)
    if not others:
        return None
    changed, new = list(history), draw.choice(others)
    changed[at] = new
    for later, action, _ in dealt:
        if later > at and action == new:
            changed[later] = old
    state = spiel.new_initial_state()
    for action in changed:
        if state.is_terminal() or action not in state.legal_actions():
            return None
        state.apply_action(action)
    return state


def test_simultaneous_choices_stay_hidden_until_all_are_in() -> None:
    match = load("goofspiel", num_cards=4).start(1)
    before = match.observe(1), match.legal_moves(1), match.render()
    match.play(0, match.legal_moves(0)[2])
    assert match.to_act == (1,) and match.legal_moves(0) == ()
    assert (match.observe(1), match.legal_moves(1), match.render()) == before
    with pytest.raises(IllegalMove, match="seat 0 is not to move, but seat 1"):
        match.play(0, Move(1, "again"))
    match.play(1, match.legal_moves(1)[0])
    assert match.to_act == (0, 1) and match.observe(1) != before[0]


def test_a_clone_keeps_pending_choices_to_itself() -> None:
    match = load("matrix_rps").start(0)
    match.play(0, Move(0, "Rock"))
    twin = match.clone()
    twin.play(1, Move(1, "Paper"))
    assert twin.returns() == (-1.0, 1.0) and match.to_act == (1,)
    match.play(1, Move(2, "Scissors"))
    assert match.returns() == (1.0, -1.0)


# --- moves, ends, identity ---------------------------------------------------------------


@pytest.mark.parametrize("name", ["tic_tac_toe", "kuhn_poker", "goofspiel", "chess"])
def test_an_illegal_move_changes_nothing(name: str) -> None:
    match = load(name).start(3)
    seat = match.to_act[0]
    before = match.render(), match.to_act, match.observe(seat), match.state.history()
    for wrong_seat, move in ((seat, Move(10_000, "nonsense")), (7, Move(0, "")), (-1, Move(0, ""))):
        with pytest.raises(IllegalMove):
            match.play(wrong_seat, move)
    assert (match.render(), match.to_act, match.observe(seat), match.state.history()) == before
    match.play(seat, match.legal_moves(seat)[0])


def test_illegal_moves_say_what_would_be_legal() -> None:
    match = load("tic_tac_toe").start(0)
    match.play(0, Move(4, "x(1,1)"))
    with pytest.raises(IllegalMove) as caught:
        match.play(1, Move(4, "o(1,1)"))
    assert "'o(1,1)' (id 4) is not legal for o" in str(caught.value)
    assert "0 (o(0,0))" in caught.value.hint
    with pytest.raises(IllegalMove, match="seat 0 is not to move, but seat 1"):
        match.play(0, Move(0, "x(0,0)"))


def test_no_moves_after_the_end() -> None:
    match = load("tic_tac_toe").start(0)
    play_through(match, [(n % 2, Move(a, "")) for n, a in enumerate((0, 3, 1, 4, 2))])
    assert match.to_act == () and match.returns() == (1.0, -1.0)
    assert match.legal_moves(0) == ()
    with pytest.raises(IllegalMove, match="the match is over"):
        match.play(1, Move(5, ""))
    with pytest.raises(GameError, match="the match is over"):
        match.forfeit(0)


@pytest.mark.parametrize(
    ("name", "options", "returns"),
    [
        ("tic_tac_toe", {}, (-1.0, 1.0)),
        ("kuhn_poker", {}, (-2.0, 2.0)),
        ("kuhn_poker", {"players": 3}, (-2.0, 0.0, 0.0)),
        ("matrix_pd", {}, (0.0, 0.0)),
        ("hanabi", {}, (0.0, 0.0)),
        ("catch", {}, (-1.0,)),
    ],
)
def test_what_a_forfeit_costs(
    name: str, options: dict[str, int], returns: tuple[float, ...]
) -> None:
    match = load(name, **options).start(1)
    match.forfeit(0)
    assert match.to_act == () and match.returns() == returns
    assert match.clone().returns() == returns
    assert match.render() and match.observe(0) and match.position()
    with pytest.raises(IllegalMove, match="the match is over"):
        match.play(0, Move(0, ""))


def test_a_forfeit_costs_nothing_where_the_lowest_return_is_unknown() -> None:
    match = load("mfg_garnet").start(1)
    before = match.returns()
    match.forfeit(0)
    assert match.to_act == () and match.returns() == before


def test_there_is_no_such_seat() -> None:
    match = load("tic_tac_toe").start(0)
    for ask in (match.observe, match.forfeit):
        with pytest.raises(GameError, match="no seat 2"):
            ask(2)


@pytest.mark.parametrize("name", ["tic_tac_toe", "nim", "dots_and_boxes", "einstein_wurfelt_nicht"])
def test_one_position_has_one_set_of_moves_and_transpositions_meet(name: str) -> None:
    moves: dict[str, set[Any]] = defaultdict(set)
    paths: dict[str, set[Any]] = defaultdict(set)
    for seed in range(60):
        match, draw = load(name).start(seed % 7), random.Random(seed)
        while match.to_act:
            seat = match.to_act[0]
            moves[match.position()].add((seat, match.legal_moves(seat)))
            paths[match.position()].add(tuple(match.state.history()))
            match.play(seat, draw.choice(match.legal_moves(seat)))
    assert all(len(found) == 1 for found in moves.values())
    assert any(len(found) > 1 for found in paths.values())


def test_roles_are_the_rules_own() -> None:
    assert [load("tic_tac_toe").start(0).role(seat) for seat in (0, 1)] == ["x", "o"]
    assert [load("misere").start(0).role(seat) for seat in (0, 1)] == ["x", "o"]
    assert load("chess").start(0).role(1) == "White" and load("chess").start(0).to_act == (1,)
    assert load("kuhn_poker").start(0).role(1) == "Player 1"
    assert load("matrix_pd").start(0).role(1) == "Column player"


@pytest.mark.parametrize(
    "name", ["connect_four", "mnk", "tic_tac_toe", "phantom_ttt", "go", "twixt", "amazons"]
)
def test_roles_agree_with_the_notation_of_moves(name: str) -> None:
    match = load(name).start(0)
    for _ in range(6):
        seat = match.to_act[0]
        move = match.legal_moves(seat)[0]
        assert move.text[0] == match.role(seat)[0]
        match.play(seat, move)


def test_equal_texts_are_told_apart() -> None:
    from tesuji.games.openspiel.game import _named

    moves = _named((1, 2, 5), ("a", "b", "a"))
    assert moves == (Move(1, "a (1)"), Move(2, "b"), Move(5, "a (5)"))


def test_the_crowd_of_a_mean_field_game_moves_at_random() -> None:
    game = load("mfg_crowd_modelling")
    assert sum(share for at, share in game.crowd.items() if at.endswith(", 3)_a")) == pytest.approx(
        1
    )
    returns = {game_over(game, seed).returns() for seed in range(5)}
    assert len(returns) > 1


def game_over(game: OpenSpielGame, seed: int) -> OpenSpielMatch:
    match = game.start(seed)
    list(moves_of(match, random.Random(seed)))
    return match


@pytest.mark.parametrize("name", ["kuhn_poker", "negotiation", "tarok", "backgammon", "hanabi"])
def test_different_seeds_give_different_matches(name: str) -> None:
    views = {load(name).start(seed).render() for seed in range(8)}
    assert len(views) > 1


def test_an_inner_generator_is_seeded_inside_a_transformation_too() -> None:
    game = load("misere", game="negotiation()")
    shown = [game.start(seed).observe(0) for seed in (1, 2, 1)]
    assert shown[0] == shown[2] != shown[1]


# --- what the facts promise --------------------------------------------------------------


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


# --- known faults of OpenSpiel: a failure here means that one has been mended -------------


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
