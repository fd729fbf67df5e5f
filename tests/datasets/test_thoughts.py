"""Template thoughts must be true: checked over every position and every best move."""

import re
from collections import Counter

import pytest

from tesuji.core.types import Move
from tesuji.datasets.from_positions.label import label
from tesuji.datasets.from_positions.positions import all_positions
from tesuji.datasets.from_positions.template_thoughts import (
    about_value,
    is_true,
    template_thought,
)
from tesuji.games.catalogue import load_game
from tesuji.players.search.minimax import MinimaxPlayer, MoveValue, best_moves

TTT = load_game("tic_tac_toe", {})
SAID = re.compile(r"As ([XO]), I (.+) at ([0-2])-([0-2])\.")


def winner_after(position, mark: str, cell: int) -> bool:
    """Independent of the code under test: rows, columns and diagonals as strings."""
    rows = [list(row) for row in position.match.observe(position.seat).split()]
    rows[cell // 3][cell % 3] = mark
    lines = ["".join(row) for row in rows] + ["".join(column) for column in zip(*rows, strict=True)]
    lines += ["".join(rows[i][i] for i in range(3)), "".join(rows[i][2 - i] for i in range(3))]
    return mark * 3 in lines


def wins_next(position, mark: str, cell: int) -> int:
    """How many cells would complete three for `mark` once it stood on `cell`."""
    count = 0
    board = "".join(position.match.observe(position.seat).split())
    for next_cell in range(9):
        if board[next_cell] != "." or next_cell == cell:
            continue
        rows = [list(board[3 * r : 3 * r + 3]) for r in range(3)]
        rows[cell // 3][cell % 3] = mark
        rows[next_cell // 3][next_cell % 3] = mark
        lines = ["".join(row) for row in rows] + ["".join(c) for c in zip(*rows, strict=True)]
        lines += ["".join(rows[i][i] for i in range(3)), "".join(rows[i][2 - i] for i in range(3))]
        count += mark * 3 in lines
    return count


def true(position, mark: str, deed: str, cell: int) -> bool:
    other = "o" if mark == "x" else "x"
    facts = {
        "win": lambda: winner_after(position, mark, cell),
        "block": lambda: winner_after(position, other, cell),
        "fork": lambda: wins_next(position, mark, cell) >= 2,
        "stop a fork": lambda: wins_next(position, other, cell) >= 2,
        "make a threat": lambda: wins_next(position, mark, cell) >= 1,
        "take the centre": lambda: cell == 4,
        "take the opposite corner": lambda: (
            cell in (0, 2, 6, 8)
            and "".join(position.match.observe(position.seat).split())[8 - cell] == other
        ),
        "take a corner": lambda: cell in (0, 2, 6, 8),
        "take an edge": lambda: cell in (1, 3, 5, 7),
    }
    return facts[deed]()


def test_every_thought_about_every_best_move_is_true():
    said = Counter()
    for item in label(TTT, all_positions(TTT), MinimaxPlayer()):
        for move in item.best:
            thought = template_thought(
                TTT, item.position.match, item.position.seat, move, item.values
            )
            mark, deed, row, column = SAID.fullmatch(thought).groups()
            assert mark.lower() == item.position.match.role(item.position.seat)
            assert 3 * int(row) + int(column) == move.id
            assert true(item.position, mark.lower(), deed, move.id), (item.position.key, thought)
            said[deed] += 1
    assert len(said) >= 8
    assert said["win"] > 1000
    assert said["block"] > 500


def test_a_win_is_said_to_be_one_even_where_it_also_blocks():
    match = TTT.start(0)
    for cell in (0, 3, 1, 4):
        seat = match.to_act[0]
        match.play(
            seat, match.legal_moves(seat)[[m.id for m in match.legal_moves(seat)].index(cell)]
        )
    assert template_thought(TTT, match, 0, Move(2, "x(0,2)")) == "As X, I win at 0-2."
    assert template_thought(TTT, match, 0, Move(5, "x(1,2)")) == "As X, I block at 1-2."


def test_in_other_games_only_what_the_oracle_knows_is_said():
    game = load_game("connect_four", {})
    match = game.start(0)
    move = match.legal_moves(0)[3]
    assert template_thought(game, match, 0, move) == ""
    assert template_thought(game, match, 0, move, {move: MoveValue(1.0, 5)}) == (
        "This wins by force in 5 plies."
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [(MoveValue(0.0, 9), "keeps the draw"), (MoveValue(-1.0, 2), "holds out for 2 plies")],
)
def test_values_in_words(value, words):
    assert words in about_value(value)


def test_a_win_by_the_next_move_is_said_to_be_one():
    assert about_value(MoveValue(1.0, 1)) == "This wins at once."


@pytest.mark.parametrize(
    ("name", "options"),
    [("connect_four", {"rows": 3, "columns": 3, "x_in_row": 3}), ("phantom_ttt", {})],
)
def test_a_board_of_another_game_that_looks_the_same_is_not_read(name, options):
    game = load_game(name, options)
    match = game.start(0)
    assert set(match.observe(0)) == {".", "\n"}
    assert template_thought(game, match, 0, match.legal_moves(0)[0]) == ""


def test_what_is_said_of_values_holds_in_matches_played_to_the_end():
    """Nim, every position: the oracle plays on for both seats; see who wins, and when."""
    game, oracle = load_game("nim", {"pile_sizes": "1;2;3"}), MinimaxPlayer()
    said = Counter()
    for item in label(game, all_positions(game), oracle):
        position = item.position
        for move in item.best:
            words = template_thought(game, position.match, position.seat, move, item.values)
            match, plies = position.match.clone(), 1
            match.play(position.seat, move)
            while match.to_act:
                seat = match.to_act[0]
                match.play(seat, best_moves(oracle.solve(match))[0])
                plies += 1
            won = match.returns()[position.seat] > 0
            assert words.startswith("This wins") == won
            assert f" {plies} plies" in words or (won and plies == 1 and "at once" in words)
            said[words.split()[1]] += 1
    assert said["wins"] > 10
    assert said["move"] > 1


def test_a_thought_is_true_of_its_own_move_only():
    """x on 0 and 1, o on 3 and 4, x to move: cell 2 wins, cell 5 blocks and wins nothing."""
    match = TTT.start(0)
    for cell in (0, 3, 1, 4):
        seat = match.to_act[0]
        match.play(seat, next(move for move in match.legal_moves(seat) if move.id == cell))
    win, block = Move(2, "x(0,2)"), Move(5, "x(1,2)")
    assert is_true("As X, I win at 0-2.", TTT, match, 0, win)
    assert not is_true("As X, I win at 0-2.", TTT, match, 0, block)
    assert not is_true("As X, I win at 1-2.", TTT, match, 0, block)
    assert not is_true("As O, I block at 1-2.", TTT, match, 0, block)
    assert is_true("As X, I block at 1-2.", TTT, match, 0, block)
    assert is_true("As X, I take a corner at 0-2.", TTT, match, 0, win)  # true, if not the point
