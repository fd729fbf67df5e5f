"""What `tesuji play` tells of a match, and what it keeps to itself."""

import pytest

from tesuji.cli.talk.play import Table
from tesuji.core.types import Attempt, Ending, Episode, Found, Move, Turn
from tesuji.games.catalogue import load_game


def turn(seat: int, text: str, *, said: str | None = None, played: bool = True) -> Turn:
    """`said` is what the reply was, where it is not the move."""
    move = Move(0, text)
    fits = said is None or said == text
    attempt = Attempt(said or text, found=Found.EXACT, move=move if fits else None)
    return Turn(seat, f"role {seat}", "", (attempt,), move if played else None)


def told(name: str, *turns: Turn, capsys) -> str:
    game = load_game(name)
    table = Table(game, 0)
    for count in range(len(turns) + 1):
        table.watch(game.start(0), turns[:count])
    return capsys.readouterr().out


def test_each_move_is_told_once_and_whose_it_was(capsys):
    shown = told("tic_tac_toe", turn(0, "x(1,1)"), turn(1, "o(0,0)"), capsys=capsys)
    assert shown == "role 0 (you): x(1,1)\nrole 1 (model): o(0,0)\n"


@pytest.mark.parametrize("name", ["kuhn_poker", "dark_hex", "leduc_poker"])
def test_what_others_do_where_something_is_hidden_is_for_the_game_to_show(name, capsys):
    shown = told(name, turn(0, "a1"), turn(1, "secret"), capsys=capsys)
    assert shown == "role 0 (you): a1\n"


def test_a_move_that_was_not_said_is_not_told_as_if_it_were(capsys):
    shown = told("tic_tac_toe", turn(1, "o(0,0)", said="\x1b[2Jhm"), capsys=capsys)
    assert "o(0,0) (drawn at random: no legal move was said)" in shown
    shown = told("tic_tac_toe", turn(1, "o(0,0)", said="\x1b[2Jhm", played=False), capsys=capsys)
    assert "no legal move; it said" in shown and "hm" in shown and "\x1b" not in shown


@pytest.mark.parametrize(
    ("returns", "more", "words"),
    [
        ((1.0, -1.0), {}, "You win."),
        ((-1.0, 1.0), {}, "The model wins."),
        ((0.0, 0.0), {}, "A draw."),
        ((1.0, -1.0), {"ending": Ending.FORFEIT, "offender": 1}, "The model forfeits"),
        ((0.0, 0.0), {"ending": Ending.TRUNCATED}, "Nobody has won."),
        ((0.5,), {}, "You earn +0.5."),
        ((4.0, 4.0), {"provenance": {"cooperative": True}}, "Together you earn +4."),
    ],
)
def test_the_end_says_who_has_won(returns, more, words, capsys):
    table = Table(load_game("tic_tac_toe"), 0)
    table.end(Episode("tic_tac_toe", {}, 0, ("you", "model"), (), returns, **more))
    assert words in capsys.readouterr().out
