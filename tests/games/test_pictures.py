"""What is drawn of a position: facts of the games, and nothing that a seat may not know."""

import random
import re
from typing import Any

import pytest

from tesuji.games.base import Game, Match
from tesuji.games.catalogue import load_game
from tesuji.games.drawing.boards import with_last_move, with_line
from tesuji.games.drawing.find import picture_of
from tesuji.games.picture import Cards, Chat, Grid, Hand, Place


def at(name: str, *moves: str, **options: Any) -> tuple[Game, Match]:
    """The game, and a match in which these moves were played."""
    game = load_game(name, options)
    match = game.start(0)
    for text in moves:
        seat = match.to_act[0]
        match.play(seat, next(m for m in match.legal_moves(seat) if m.text == text))
    return game, match


def board(name: str, *moves: str, **options: Any) -> Grid:
    """As the seat to move sees it."""
    game, match = at(name, *moves, **options)
    seat = match.to_act[0] if match.to_act else None
    found = picture_of(game, match, seat, seat)
    assert isinstance(found, Grid)
    return found


def pressed(name: str, *moves: str, **options: Any) -> dict[str, list[str]]:
    """Move → the names of the cells for it."""
    game, match = at(name, *moves, **options)
    seat = match.to_act[0]
    grid = picture_of(game, match, seat, seat)
    words = {move.id: move.text for move in match.legal_moves(seat)}
    return {words[number]: [called(grid, place) for place in path] for number, path in grid.moves}


def called(grid: Grid, place: Place) -> str:
    return f"{grid.columns[place[1]]}{grid.rows[place[0]]}"


def marked(grid: Grid, mark: str) -> list[Place]:
    cells = [(r, c, cell) for r, row in enumerate(grid.cells) for c, cell in enumerate(row)]
    return [(r, c) for r, c, cell in cells if cell.mark == mark]


def test_chess_moves_go_from_a_square_to_a_square() -> None:
    moves = pressed("chess")
    assert len(moves) == 20 and moves["e4"] == ["e2", "e4"] and moves["Nf3"] == ["g1", "f3"]


def test_castling_is_the_kings_move() -> None:
    moves = pressed("chess", "e4", "e5", "Nf3", "Nc6", "Bc4", "Bc5")
    assert moves["O-O"] == ["e1", "g1"]


def test_a_pawn_taken_in_passing_is_not_the_one_that_is_pressed() -> None:
    moves = pressed("chess", "e4", "a6", "e5", "d5")
    assert moves["exd6"] == ["e5", "d6"]


def test_promotions_share_their_squares() -> None:
    line = ["a4", "b5", "axb5", "a6", "bxa6", "Nc6", "a7", "Nb8"]
    paths = pressed("chess", *line)
    promotions = {text: path for text, path in paths.items() if "=" in text}
    assert len(promotions) == 4 and {*map(tuple, promotions.values())} == {("a7", "b8")}


def test_chess_is_seen_from_ones_own_side() -> None:
    white, black = board("chess"), board("chess", "e4")
    assert white.cells[7][4].piece == "♚" and white.cells[7][4].look == "light"
    assert black.cells[7][3].piece == "♚" and black.cells[7][3].look == "dark"
    assert black.rows[0] == "1" and black.columns[0] == "h"


def test_a_column_of_connect_four_is_pressed_anywhere_in_it() -> None:
    grid = board("connect_four", "x3", "o3")
    cells = [path[0] for number, path in grid.moves if number == 3]
    assert cells == [(row, 3) for row in range(4)]
    assert grid.cells[5][3].look == "first" and grid.cells[4][3].look == "second"
    full = board("connect_four", *["x3", "o3"] * 3)
    assert 3 not in {number for number, _ in full.moves} and len({n for n, _ in full.moves}) == 6


def test_hex_is_slanted_and_its_cells_are_called_as_its_moves_are() -> None:
    grid = board("hex", "f6", board_size=7)
    assert grid.shape == "hexagons" and grid.shifts == tuple(n / 2 for n in range(7))
    moves = pressed("hex", "f6", board_size=7)
    assert len(moves) == 48 and all([text] == path for text, path in moves.items())
    assert grid.cells[5][5].look == "first"


@pytest.mark.parametrize("name", ["breakthrough", "lines_of_action", "clobber"])
def test_moves_name_the_squares_they_go_between(name: str) -> None:
    moves = pressed(name)
    named = {text: re.findall(r"[a-h]\d", text) for text in moves}
    assert moves and moves == named


def test_a_stone_of_othello_is_put_where_it_was_put_and_not_where_others_turn() -> None:
    assert pressed("othello") == {text: [text] for text in ("d3", "c4", "f5", "e6")}
    before, after = board("othello"), board("othello", "d3")
    seen = with_last_move(before, after)
    assert [called(seen, place) for place in marked(seen, "last")] == ["d3"]


def test_a_man_of_checkers_jumps_and_is_crowned() -> None:
    game, match = at("checkers")
    rng = random.Random(4)
    crowned = False
    for _ in range(300):
        if not match.to_act:
            break
        seat = match.to_act[0]
        legal = {move.id: move for move in match.legal_moves(seat)}
        grid = picture_of(game, match, seat)
        paths = dict(grid.moves)
        for number, path in paths.items():
            squares = re.findall(r"[a-h]\d", legal[number].text)
            assert [called(grid, place) for place in path] == [squares[0], squares[-1]]
        assert set(paths) == set(legal)
        crowned = crowned or any(cell.piece == "♛" for row in grid.cells for cell in row)
        match.play(seat, legal[rng.choice(sorted(legal))])
    assert crowned


def test_go_has_no_column_i_and_passing_is_no_place() -> None:
    moves = pressed("go", board_size=9)
    assert board("go", board_size=9).shape == "crossings"
    assert moves["B j1"] == ["j1"] and "B i1" not in moves and "B PASS" not in moves
    assert len(moves) == 81


def test_the_line_that_won_is_marked_and_no_other() -> None:
    game, match = at("tic_tac_toe", "x(0,0)", "o(1,0)", "x(0,1)", "o(1,1)", "x(0,2)")
    assert marked(with_line(game, picture_of(game, match, None)), "won") == [(0, 0), (0, 1), (0, 2)]
    game, match = at("connect_four", "x0", "o6", "x1", "o5", "x2", "o5", "x3")
    won = marked(with_line(game, picture_of(game, match, None)), "won")
    assert won == [(5, column) for column in range(4)]


@pytest.mark.parametrize("name", ["dark_hex", "phantom_ttt", "phantom_go"])
def test_what_a_seat_has_not_seen_is_not_on_its_board(name: str) -> None:
    """Two matches that differ by what the other seat did are drawn alike."""
    pictures = set()
    for first in (0, 2):
        game = load_game(name)
        match = game.start(0)
        match.play(0, match.legal_moves(0)[first])
        pictures.add(picture_of(game, match, 1))
    [picture] = pictures
    assert all(not cell.piece for row in picture.cells for cell in row)
    assert len(picture.moves) == len(picture.cells) * len(picture.cells[0])


@pytest.mark.parametrize(
    ("name", "own", "others"),
    [("kuhn_poker", 1, 1), ("leduc_poker", 1, 2), ("holdem", 2, 7), ("omaha", 4, 9)],
)
def test_other_hands_lie_face_down(name: str, own: int, others: int) -> None:
    game = load_game(name)
    match = game.start(5)
    for seat in (0, 1):
        picture = picture_of(game, match, seat)
        cards = [card for hand in picture.hands for card in hand.cards]
        assert cards.count("?") == others and len(cards) == own + others
        [hand] = [hand for hand in picture.hands if hand.title == match.role(seat)]
        assert "?" not in hand.cards
    whole = picture_of(game, match, None)
    dealt = [hand for hand in whole.hands if hand.title not in ("Table", "Board")]
    assert not any("?" in hand.cards for hand in dealt)


def test_kuhns_cards_are_the_deal() -> None:
    """OpenSpiel deals card numbers, the higher the better: jack, queen, king."""
    game = load_game("kuhn_poker")
    for seed in range(8):
        match = game.start(seed)
        dealt = [int(card) for card in match.render().split()[:2]]
        hands = picture_of(game, match, None).hands
        assert [hand.cards[0] for hand in hands] == ["JQK"[card] for card in dealt]


def test_leducs_table_card_is_shown_once_it_lies_there() -> None:
    game, match = at("leduc_poker", "Call")
    assert picture_of(game, match, 1).hands[0] == Hand("Table", ("?",))
    match.play(1, next(move for move in match.legal_moves(1) if move.text == "Call"))
    assert picture_of(game, match, 0).hands[0].cards != ("?",)
    assert "money 99 and 99" in picture_of(game, match, 0).note


def test_wordles_letters_have_their_marks() -> None:
    game = load_game("wordle")
    match = game.start(3)
    guess = next(move for move in match.legal_moves(0) if move.text == "crane")
    match.play(0, guess)
    grid = picture_of(game, match, 0)
    first = grid.cells[0]
    assert "".join(cell.piece for cell in first) == "crane"
    for letter, cell, right in zip("crane", first, match.secret, strict=True):
        expected = "right" if letter == right else "present" if letter in match.secret else "absent"
        assert cell.look == expected
    assert [bool(row[0].piece) for row in grid.cells] == [True, *[False] * 5]


def test_a_transcript_is_a_chat() -> None:
    game = load_game("SecretMafia-v0")
    match = game.start(3)
    seat = match.to_act[0]
    chat = picture_of(game, match, seat)
    assert isinstance(chat, Chat) and chat.lines[0][0] == "GAME"
    assert f"You are Player {seat}" in chat.lines[0][1]
    shown = match.observe(seat)
    assert all(words in shown for _, words in chat.lines)


@pytest.mark.parametrize("name", ["backgammon", "mancala", "bargaining", "quoridor", "y", "bridge"])
def test_what_is_no_grid_stays_text(name: str) -> None:
    game = load_game(name)
    match = game.start(1)
    assert picture_of(game, match, match.to_act[0]) is None


@pytest.mark.parametrize("picture", [Cards((Hand("Yours", ("Ah",)),)), None, "a board", 7])
def test_a_match_draws_itself_or_is_left_as_it_is(picture: Any) -> None:
    game, match = at("tic_tac_toe")

    def own(seat: int | None) -> Any:
        return picture if picture != 7 else 1 / 0

    match.picture = own
    found = picture_of(game, match, 0)
    assert found == picture if isinstance(picture, Cards) else isinstance(found, Grid)


@pytest.mark.parametrize("name", ["tic_tac_toe", "connect_four", "breakthrough", "chess", "go"])
def test_every_press_is_a_legal_move_at_any_time(name: str) -> None:
    game = load_game(name)
    match, rng = game.start(0), random.Random(2)
    for _ in range(40):
        if not match.to_act:
            break
        seat = match.to_act[0]
        legal = match.legal_moves(seat)
        grid = picture_of(game, match, seat, seat)
        numbers = [move.id for move in legal if "PASS" not in move.text]
        assert sorted({number for number, _ in grid.moves}) == sorted(numbers)
        match.play(seat, rng.choice(legal))
