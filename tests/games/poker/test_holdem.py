"""Hold'em and its relatives: chips, cards, what a seat is shown, moves, and odd tables."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tesuji.core.errors import GameError, IllegalMove
from tesuji.core.types import Move
from tesuji.games.catalogue import game_info, list_games, load_game
from tesuji.games.poker.game import PokerGame
from tesuji.games.poker.hand import PokerMatch

GAMES = ("holdem", "omaha", "short_deck")
TABLES = st.fixed_dictionaries(
    {"players": st.integers(2, 9), "ante": st.sampled_from((0, 3))},
    optional={"stack": st.sampled_from((1, 7, 60, 100, 2000)), "bets": st.just("text")},
)
OPTIONS = {"small_blind": 1, "big_blind": 2, "stack": 40}


def table(**options: object) -> PokerGame:
    game = load_game("holdem", {**OPTIONS, **options})
    assert isinstance(game, PokerGame)
    return game


def at_random(match: PokerMatch, rng: random.Random) -> list[tuple[int, Move]]:
    """Play the match to its end at random; the moves."""
    while match.to_act:
        [seat] = match.to_act
        match.play(seat, rng.choice(match.legal_moves(seat)))
    return match.moves


def test_the_catalogue_lists_the_family_and_keeps_openspiels_poker() -> None:
    found = {info.name: info for info in list_games()}
    assert {name for name in found if found[name].family == "poker"} == set(GAMES)
    for name in ("kuhn_poker", "leduc_poker", "universal_poker"):
        assert found[name].family == "openspiel"
    info = game_info("holdem")
    assert info.seats == (2, 9) and info.zero_sum and info.metrics == ("mbb",)
    assert (info.min_utility, info.max_utility) == (-100.0, 100.0)
    assert load_game("holdem", {"players": 6}).info.max_utility == 500.0


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(GAMES), TABLES, st.integers(0, 10**6))
def test_chips_are_neither_made_nor_lost(name: str, options: dict[str, object], seed: int) -> None:
    game = load_game(name, {"small_blind": 1, "big_blind": 2, **options})
    match = game.start(seed)
    assert isinstance(match, PokerMatch)
    assert match.returns() == (0.0,) * game.num_players or not match.to_act
    at_random(match, random.Random(seed))
    gains = match.chips()
    assert sum(gains) == 0 and any(gains) == any(match.returns())
    assert match.returns() == tuple(gain / 2 for gain in gains)
    for gain, stack in zip(gains, game.stakes.stacks, strict=True):
        assert -stack <= gain
    assert sum(match.state.stacks) == sum(game.stakes.stacks)


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 6), st.sampled_from(GAMES), st.integers(0, 10**6), st.data())
def test_what_a_seat_is_shown_does_not_depend_on_the_others_cards(
    players: int, name: str, seed: int, data: st.DataObject
) -> None:
    shown = data.draw(st.sampled_from(("words", "brief")))
    game = load_game(name, {**OPTIONS, "players": players, "shown": shown})
    assert isinstance(game, PokerGame)
    seat, each = data.draw(st.integers(0, players - 1)), game.variant.hole
    deck = list(game.deck(seed))
    board = range(each * players, each * players + 5)
    own = range(each * seat, each * (seat + 1))
    free = [place for place in range(len(deck)) if place not in {*own, *board}]
    other = list(deck)
    for place, card in zip(free, random.Random(seed).sample(free, len(free)), strict=True):
        other[place] = deck[card]
    one, two = game.start_with(deck), game.start_with(other)
    rng = random.Random(seed)
    while one.to_act:
        assert one.to_act == two.to_act and one.observe(seat) == two.observe(seat)
        assert one.legal_moves(seat) == two.legal_moves(seat)
        assert one.situation(seat) == two.situation(seat)
        [actor] = one.to_act
        move = rng.choice(one.legal_moves(actor))
        one.play(actor, move)
        two.play(actor, move)
    folds = sum(move.text == "fold" for _, move in one.moves)
    if folds == players - 1:  # else the showdown told who has won
        assert one.observe(seat) == two.observe(seat)


def test_cards_of_a_seat_and_the_board_follow_from_the_seed_alone() -> None:
    game = table(players=3)
    passive, folded = game.start(5), game.start(5)
    folded.play(2, Move(0, "fold"))
    for match in (passive, folded):
        while match.to_act:
            match.play(match.to_act[0], next(m for m in match.legal_moves(match.to_act[0]) if m.id))
    assert [passive.hole(seat) for seat in range(3)] == [folded.hole(seat) for seat in range(3)]
    assert list(passive.state.get_board_cards(0)) == list(folded.state.get_board_cards(0))
    assert passive.hole(0) != game.start(6).hole(0)


def test_matches_do_not_disturb_each_other_or_pythons_random_numbers() -> None:
    state = random.getstate()
    alone = [at_random(table(players=4).start(seed), random.Random(seed)) for seed in range(8)]
    matches = [table(players=4).start(seed) for seed in range(8)]
    streams = [random.Random(seed) for seed in range(8)]
    while any(match.to_act for match in matches):
        random.seed(3)  # what somebody else does to the global generator is no matter
        for match, rng in zip(matches, streams, strict=True):
            if match.to_act:
                [seat] = match.to_act
                match.play(seat, rng.choice(match.legal_moves(seat)))
    assert [match.moves for match in matches] == alone
    random.setstate(state)
    at_random(table().start(0), random.Random(0))
    assert random.getstate() == state


def test_the_menu_has_pot_sized_bets_as_pokerkit_counts_them() -> None:
    for seed in range(40):
        match = table(stack=400, players=3).start(seed)
        rng = random.Random(seed)
        while match.to_act:
            [seat] = match.to_act
            moves = match.legal_moves(seat)
            pot = match.state.pot_completion_betting_or_raising_to_amount
            bet = next((move for move in moves if move.id == 3), None)
            if bet is not None and bet.text != "all-in":
                assert int(bet.text.split()[-1]) == pot
            assert [move.id for move in moves] == sorted({move.id for move in moves})
            totals = [int(m.text.split()[-1]) for m in moves if m.text[-1].isdigit()]
            assert all(low < high for low, high in pairwise(totals))
            match.play(seat, rng.choice(moves))


def test_sizes_of_the_menu_can_be_chosen() -> None:
    match = table(sizes="1 2 3", stack=400).start(0)
    assert [m.text for m in match.legal_moves(1)] == [
        *("fold", "call", "raise to 6", "raise to 10", "raise to 14", "all-in")
    ]
    assert match.legal_moves(0) == ()


def test_in_omaha_no_bet_is_greater_than_the_pot() -> None:
    match = load_game("omaha", {**OPTIONS, "stack": 400}).start(0)
    assert [m.text for m in match.legal_moves(1) or ()] == [
        "fold",
        "call",
        "raise to 4",
        "raise to 6",
    ]
    short = load_game("omaha", {**OPTIONS, "stack": 5}).start(0)
    assert [m.text for m in short.legal_moves(1) or ()][-1] == "all-in"


def test_illegal_moves_change_nothing() -> None:
    match = table().start(0)
    before = match.render()
    for seat, move in ((0, Move(1, "check")), (1, Move(1, "check")), (1, Move(7, "bet 3")),
                       (1, Move(-1, "raise to 7"))):  # fmt: skip
        with pytest.raises(IllegalMove, match=r"not (to act|legal)"):
            match.play(seat, move)
    assert match.render() == before and match.moves == []
    with pytest.raises(GameError, match="no seat 2"):
        match.observe(2)


def test_a_forfeit_costs_what_a_fold_costs() -> None:
    compared = 0
    for seed in range(60):
        match, rng = table().start(seed), random.Random(seed)
        for _ in range(rng.randint(0, 5)):
            if match.to_act:
                [seat] = match.to_act
                match.play(seat, rng.choice([m for m in match.legal_moves(seat) if m.id]))
        if not match.to_act:
            continue
        [seat] = match.to_act
        put, folded = 40 - match.state.stacks[seat], match.clone()
        match.forfeit(seat)
        assert match.to_act == () and match.legal_moves(seat) == ()
        assert match.chips()[seat] == -put and sum(match.chips()) == 0
        if Move(0, "fold") in folded.legal_moves(seat):
            folded.play(seat, Move(0, "fold"))
            assert folded.chips() == match.chips()
            compared += 1
    assert compared > 10


def test_a_forfeit_at_a_large_table_pays_nobody_more_than_was_put_in_against_it() -> None:
    match = table(players=3, stacks="4 40 40").start(1)
    play_words(match, "raise to 4", "call")  # the button raises, the small blind is all-in with 4
    match.forfeit(1)
    assert match.chips() == (1, -2, 1)  # the big blind's 2 are shared
    match = table(players=3, stacks="4 40 40").start(1)
    play_words(match, "raise to 4", "call", "raise to 10", "call")
    assert match.to_act == (1,)
    match.forfeit(1)  # after the flop: 4 of its 10 could be lost to the small blind
    assert match.chips() == (2, -10, 8)


def play_words(match: PokerMatch, *words: str) -> None:
    for text in words:
        [seat] = match.to_act
        match.play(seat, next(move for move in match.legal_moves(seat) if move.text == text))


def test_a_copy_goes_its_own_way() -> None:
    match = table(players=3).start(4)
    match.play(2, match.legal_moves(2)[1])
    copy = match.clone()
    assert (copy.render(), copy.position()) == (match.render(), match.position())
    copy.play(0, copy.legal_moves(0)[-1])
    assert copy.render() != match.render() and len(match.moves) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"players": 10}, "players: must be at most 9, not 10"),
        ({"players": True}, "players: must be a whole number, not true"),
        ({"stack": 0}, "stack: must be at least 1, not 0"),
        ({"stacks": "100 100 100"}, "stacks: must be 2 whole numbers"),
        ({"small_blind": 200}, "small_blind: must be a whole number from 0 to 100"),
        ({"bets": "any"}, "one of: menu, text"),
        ({"sizes": "1 0.5"}, "shares of the pot"),
        ({"blinds": 5}, "no option 'blinds'"),
        ({"ante": 0.5}, "ante: must be a whole number, not 0.5"),
    ],
)
def test_impossible_tables_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(GameError, match=words) as caught:
        load_game("holdem", options)
    assert caught.value.where and caught.value.hint


def test_nobody_to_decide_is_a_hand_all_the_same() -> None:
    match = table(stacks="1 1", ante=1).start(0)
    assert match.to_act == () and sum(match.chips()) == 0


def test_what_is_shown_in_words_and_briefly() -> None:
    match = table(stack=200).start(3)
    assert match.observe(1).endswith("You can fold, call, raise to 4, raise to 6 or go all-in.")
    waiting = match.observe(0)
    assert "It is BTN's turn." in waiting and "call" not in waiting
    short = table(stack=200, shown="brief").start(3)
    short.play(1, short.legal_moves(1)[2])
    assert short.observe(0) == "Ac5h offsuit\nr4 p6 c2 s198"
    short.play(0, short.legal_moves(0)[1])
    assert short.observe(0) == "Ac5h TsJd8h ace high\nr4c/ p8 c0 s196"
