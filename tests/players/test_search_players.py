"""Minimax and tree search: known facts about real games."""

import random

import pytest

from tesuji.core.errors import GameError
from tesuji.core.types import Task
from tesuji.datasets.from_positions.positions import all_positions
from tesuji.episodes.arena import play_matches
from tesuji.games.catalogue import load_game
from tesuji.players.base import MoveRequest
from tesuji.players.basic.random import RandomPlayer
from tesuji.players.search.mcts import ISMCTSPlayer, MCTSPlayer
from tesuji.players.search.minimax import MinimaxPlayer, _key, best_moves, optimal_moves

TTT = load_game("tic_tac_toe", {})
POSITIONS = all_positions(TTT)


def request_in(game, moves=(), seed: int = 1) -> MoveRequest:
    match = game.start(seed)
    for text in moves:
        seat = match.to_act[0]
        match.play(seat, next(m for m in match.legal_moves(seat) if m.text == text))
    seat = match.to_act[0]
    return MoveRequest(game, match, seat, match.observe(seat), match.legal_moves(seat), seed)


def results(game, first, second, count: int) -> list[float]:
    """Returns of `first`, seats swapped every other match."""
    players = {"a": first, "b": second}
    tasks = [
        Task(game.name, seed, ("a", "b") if seed % 2 == 0 else ("b", "a")) for seed in range(count)
    ]
    return [
        episode.returns[episode.players.index("a")]
        for episode in play_matches(tasks, game=game, players=players)
    ]


def wins_at_once(position) -> set[int]:
    found = set()
    for move in position.match.legal_moves(position.seat):
        child = position.match.clone()
        child.play(position.seat, move)
        if not child.to_act and child.returns()[position.seat] > 0:
            found.add(move.id)
    return found


def test_tic_tac_toe_is_a_draw_and_every_opening_keeps_it():
    values = MinimaxPlayer().solve(TTT.start(0))
    assert {value.value for value in values.values()} == {0.0}
    assert len(optimal_moves(values)) == 9


def test_an_immediate_win_is_never_passed_over():
    player = MinimaxPlayer()
    chances = [(p, wins_at_once(p)) for p in POSITIONS]
    chances = [(position, wins) for position, wins in chances if wins]
    assert len(chances) == 2358
    tempted = 0
    for position, wins in chances:
        values = player.solve(position.match)
        assert {move.id for move in best_moves(values)} == wins
        first_of_value = next(m for m, v in values.items() if v.value == 1.0)
        tempted += first_of_value.id not in wins
    assert tempted == 392  # what the first winning move, without counting plies, would miss


def test_a_lost_position_is_lost_as_late_as_can_be():
    # o to move, x threatens twice: whatever o does x wins, but blocking one threat is later
    request = request_in(TTT, ["x(0,0)", "o(0,1)", "x(1,0)", "o(2,0)", "x(1,1)"])
    values = MinimaxPlayer().solve(request.match)
    assert {value.value for value in values.values()} == {-1.0}
    assert {value.plies for value in values.values()} == {2}


@pytest.mark.parametrize("depth", [2, 4, 9])
def test_depth_limited_search_agrees_with_the_exact_one_where_it_sees_the_end(depth):
    exact, limited = MinimaxPlayer(), MinimaxPlayer(depth=depth)
    for position in random.Random(1).sample(POSITIONS, 60):
        empty = position.match.observe(position.seat).count(".")
        if empty > depth:
            continue
        whole = exact.solve(position.match)
        seen = limited.solve(position.match)
        assert {m: v.value for m, v in seen.items()} == {m: v.value for m, v in whole.items()}
        assert best_moves(seen) == best_moves(whole)


def test_minimax_never_loses_and_ties_are_broken_by_the_request():
    assert min(results(TTT, MinimaxPlayer(), RandomPlayer(), 60)) >= 0
    assert min(results(TTT, MinimaxPlayer(), MCTSPlayer(simulations=200), 40)) >= 0
    chosen = {MinimaxPlayer().choose([request_in(TTT, seed=s)])[0].move for s in range(20)}
    assert len(chosen) > 3


def test_nim_is_won_exactly_where_the_nim_sum_is_not_zero():
    for piles, winning in (("1;2;3", False), ("1;2;4", True), ("2;2", False), ("3;1", True)):
        game = load_game("nim", {"pile_sizes": piles, "is_misere": False})
        best = max(v.value for v in MinimaxPlayer().solve(game.start(0)).values())
        assert (best > 0) == winning, piles


def test_games_minimax_does_not_fit_and_games_too_big_are_refused(monkeypatch):
    for name in ("kuhn_poker", "pig", "matrix_rps"):
        with pytest.raises(GameError, match="minimax cannot play"):
            MinimaxPlayer().solve(load_game(name, {}).start(0))
    monkeypatch.setattr("tesuji.players.search.minimax.NODE_LIMIT", 1000)
    with pytest.raises(GameError, match="too big") as caught:
        MinimaxPlayer().solve(load_game("connect_four", {}).start(0))
    assert "depth" in str(caught.value)
    values = MinimaxPlayer(depth=2).solve(load_game("connect_four", {}).start(0))
    assert len(values) == 7


@pytest.mark.parametrize("depth", [None, 5000])
def test_a_game_whose_lines_go_on_and_on_is_refused(depth):
    with pytest.raises(GameError, match="chess has lines too long for minimax") as caught:
        MinimaxPlayer(depth=depth).solve(load_game("chess").start(0))
    assert caught.value.where == "player: minimax" and "mcts" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dots_and_boxes", {}),
        ("misere", {}),
        ("start_at", {}),
        ("zerosum", {}),
        ("mnk", {"m": 3, "n": 3, "k": 3}),
        ("gomoku", {"size": 3, "connect": 3}),
        ("hex", {"board_size": 3}),
    ],
)
def test_lines_that_meet_in_one_board_are_followed_once(name, options, monkeypatch):
    game = load_game(name, options)
    monkeypatch.setattr("tesuji.players.search.minimax.NODE_LIMIT", 10_000)
    MinimaxPlayer().solve(game.start(0))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tic_tac_toe", {}),
        ("connect_four", {"rows": 3, "columns": 3, "x_in_row": 3}),
        ("nim", {"pile_sizes": "2;3;2"}),
        ("hex", {"board_size": 3, "swap": True}),
        ("breakthrough", {"rows": 4, "columns": 3}),
        ("clobber", {"rows": 3, "columns": 3}),
        ("y", {"board_size": 3}),
        ("havannah", {"board_size": 2}),
        ("dots_and_boxes", {}),
        ("mnk", {"m": 3, "n": 3, "k": 3}),
        ("gomoku", {"size": 3, "connect": 3}),
        ("misere", {}),
        ("start_at", {}),
        ("zerosum", {}),
    ],
)
def test_a_board_that_serves_as_key_has_one_future(name, options):
    """However a board came about, the same moves lead from it to the same boards and ends."""
    spiel, dice = load_game(name, options).spiel, random.Random(1)
    seen, other_ways = {}, 0
    for _ in range(400):
        state = spiel.new_initial_state()
        while not state.is_terminal():
            history, future = seen.setdefault(_key(state), (state.history(), ahead(state)))
            assert future == ahead(state)
            other_ways += history != state.history()
            state.apply_action(dice.choice(state.legal_actions()))
    assert other_ways > 10


def ahead(state):
    children = ((action, state.child(action)) for action in state.legal_actions())
    return [(a, c.returns() if c.is_terminal() else _key(c)) for a, c in children]


@pytest.mark.parametrize("name", ["tic_tac_toe", "connect_four"])
def test_tree_search_beats_random_play_clearly(name):
    returns = results(load_game(name, {}), MCTSPlayer(simulations=100), RandomPlayer(), 60)
    assert sum(value > 0 for value in returns) >= 50
    assert sum(value < 0 for value in returns) <= 3


@pytest.mark.parametrize(
    ("name", "player"), [("tic_tac_toe", MCTSPlayer(50)), ("leduc_poker", ISMCTSPlayer(50))]
)
def test_a_choice_follows_from_its_request_alone(name, player):
    requests = [request_in(load_game(name, {}), seed=seed) for seed in range(12)]
    together = player.choose(requests)
    assert player.choose(requests[::-1])[::-1] == together
    assert [player.choose([request])[0] for request in requests] == together


def test_mcts_does_not_look_into_hidden_hands():
    with pytest.raises(GameError, match="use ismcts"):
        MCTSPlayer().choose([request_in(load_game("kuhn_poker", {}))])


@pytest.mark.parametrize("player", [MCTSPlayer(), ISMCTSPlayer()])
def test_simultaneous_games_are_refused(player):
    with pytest.raises(GameError, match="same time"):
        player.choose([request_in(load_game("matrix_rps", {}))])


def test_ismcts_needs_a_game_that_can_be_resampled():
    with pytest.raises(GameError, match="ismcts cannot play liars_dice"):
        ISMCTSPlayer(simulations=5).choose([request_in(load_game("liars_dice", {}))])


@pytest.mark.parametrize("name", ["kuhn_poker", "leduc_poker"])
def test_ismcts_plays_poker_better_than_chance(name):
    returns = results(load_game(name, {}), ISMCTSPlayer(simulations=200), RandomPlayer(), 200)
    assert sum(returns) / len(returns) > 0
