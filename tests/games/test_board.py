"""Boards drawn for people, with the coordinates of the game's own moves."""

import random

import pytest

from tesuji.games.board import drawn
from tesuji.games.catalogue import load_game


def position(name: str, moves: int, seed: int = 1, **options):
    """(game, match) after some moves drawn at random."""
    game, draw = load_game(name, options), random.Random(seed)
    match = game.start(seed)
    for _ in range(moves):
        seat = match.to_act[0]
        match.play(seat, draw.choice(match.legal_moves(seat)))
    return game, match


def test_a_small_board_is_framed_and_named_as_its_moves_are():
    game, match = position("tic_tac_toe", 0)
    for text in ("x(0,2)", "o(1,0)"):
        seat = match.to_act[0]
        match.play(seat, next(m for m in match.legal_moves(seat) if m.text == text))
    assert drawn(game, match.observe(0)).rstrip() == (
        "    0   1   2\n"
        "  ┌───┬───┬───┐\n"
        "0 │   │   │ x │\n"
        "  ├───┼───┼───┤\n"
        "1 │ o │   │   │\n"
        "  ├───┼───┼───┤\n"
        "2 │   │   │   │\n"
        "  └───┴───┴───┘"
    )


def cell(text: str, name: str) -> str:
    """What stands where the drawing's column and row are called `name` (`b3`)."""
    heads, *rows = text.split("\n")
    row = next(line for line in rows if line.split()[:1] == [name[1:]])
    cells = [c.strip() for c in row.split("│")[1:-1]] or row.split()[1:]
    return cells[heads.split().index(name[0])]


@pytest.mark.parametrize("name", ["hex", "dark_hex"])
@pytest.mark.parametrize("move", ["a1", "c1", "b2", "a3"])
def test_letters_are_columns_where_the_moves_say_so(name, move):
    game, match = position(name, 0)
    chosen = next(m for m in match.legal_moves(0) if m.text == move)
    match.play(0, chosen)
    assert cell(drawn(game, match.observe(0)), move) == "x"


def test_where_only_columns_have_names_rows_have_none():
    game, match = position("connect_four", 5)
    text = drawn(game, match.observe(0))
    assert text.startswith("  0   1   2   3   4   5   6\n┌───┬")
    assert text.count(" x ") == 3 and text.count(" o ") == 2


def test_a_large_board_is_numbered_without_a_frame():
    game, match = position("gomoku", 4)
    lines = drawn(game, match.observe(0)).split("\n")
    assert lines[1].split() == [str(n) for n in range(15)]
    assert lines[2].split()[0] == "0" and max(map(len, lines)) < 80


def test_a_position_in_fen_is_drawn():
    game, match = position("chess", 1, seed=3)
    text = drawn(game, match.observe(0))
    assert "8 │ r │ n │ b │ q │ k │ b │ n │ r │" in text and "    a   b   c" in text
    assert text.rstrip().endswith("0 1") and "/" not in text.replace("w KQkq", "")


@pytest.mark.parametrize(
    "name", ["othello", "breakthrough", "kuhn_poker", "nim", "oware", "2048", "laser_tag", "y"]
)
def test_what_has_coordinates_of_its_own_or_no_grid_stays_as_it_is(name):
    game, match = position(name, 1)
    assert drawn(game, match.observe(0)) == match.observe(0)


@pytest.mark.parametrize("text", ["", "ab\ncd\n", "...\n...\n...\n...", "x" * 9000, "1/2 " * 5000])
def test_any_other_text_stays_as_it_is(text):
    assert drawn(load_game("tic_tac_toe"), text) == text
