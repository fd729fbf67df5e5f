"""Matches of every OpenSpiel game through the adapter: facts, seeds, clones, moves and ends."""

import random
from collections import defaultdict
from typing import Any

import pytest
from openspiel_games import CAP, INFOS, NOTHING_TO_SEE, PLAYABLE, QUICKER, load, moves_of

from tesuji.core.errors import GameError, IllegalMove
from tesuji.core.types import Move
from tesuji.games.base import play_through
from tesuji.games.catalogue import load_game
from tesuji.games.openspiel.game import OpenSpielGame, OpenSpielMatch


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
