"""What a seat of an OpenSpiel game is shown: nothing of others' cards, all that its moves need."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from openspiel_games import INFOS, load

from tesuji.core.errors import IllegalMove
from tesuji.core.types import Move
from tesuji.games.openspiel.game import OpenSpielMatch


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
