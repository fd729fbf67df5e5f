"""Thoughts from templates: sentences that are true of the position.

For tic-tac-toe they name what the move does (Newell and Simon's order: win, block, fork, block a
fork, centre, opposite corner, corner, edge): "As X, I block at 2-0." (row and column, from 0).
For other games they say what the oracle knows: whether the move wins, draws or loses, and in how
many plies. Where nothing is known there is no thought.
"""

from collections.abc import Iterator, Mapping

from tesuji.core.types import Move
from tesuji.episodes.rewards.tictactoe import LINES, completes
from tesuji.games.base import Game, Match
from tesuji.players.search.minimax import MoveValue

CORNERS, CENTRE = (0, 2, 6, 8), 4
OPPOSITE = {0: 8, 2: 6, 6: 2, 8: 0}


def template_thought(
    game: Game,
    match: Match,
    seat: int,
    move: Move,
    values: Mapping[Move, MoveValue] | None = None,
) -> str:
    """A true sentence about `move`, a best one for `seat`; "" where nothing is known.

    `values` holds the moves whose value an oracle has proven. The board is read in tic-tac-toe
    only: other games may show one like it, and hide what stands there or win by other lines.
    """
    board = tic_tac_toe_board(match.observe(seat)) if game.name == "tic_tac_toe" else None
    if board is not None:
        return about_cell(board, match.role(seat), move.id)
    value = (values or {}).get(move)
    return about_value(value) if value else ""


def tic_tac_toe_board(observation: str) -> str | None:
    """The nine cells of a 3 by 3 board of x, o and dots, row by row; None for any other text."""
    cells = "".join(observation.split())
    fits = len(observation.split()) == 3 and len(cells) == 9 and set(cells) <= set("xo.")
    return cells if fits else None


def about_cell(board: str, mark: str, cell: int) -> str:
    """What placing `mark` on `cell` does, the most important thing first."""
    return next(_sentences(board, mark, cell))


def is_true(thought: str, game: Game, match: Match, seat: int, move: Move) -> bool | None:
    """Whether a thought is one of the sentences that are true of `move`, the most important or not;
    None where that cannot be told: in other games than tic-tac-toe."""
    board = tic_tac_toe_board(match.observe(seat)) if game.name == "tic_tac_toe" else None
    return None if board is None else thought in _sentences(board, match.role(seat), move.id)


def about_value(value: MoveValue) -> str:
    """What a move leads to with best play on both sides."""
    if value.value > 0 and value.plies == 1:
        return "This wins at once."
    if value.value > 0:
        return f"This wins by force in {value.plies} plies."
    if value.value < 0:
        return f"Every move loses; this one holds out for {value.plies} plies."
    return "This keeps the draw."


def _sentences(board: str, mark: str, cell: int) -> Iterator[str]:
    """All that is true of placing `mark` on `cell`, the most important first."""
    other = "o" if mark == "x" else "x"
    deeds = (
        ("win", completes(board, mark, cell)),
        ("block", completes(board, other, cell)),
        ("fork", _threats(board, mark, cell) >= 2),
        ("stop a fork", _threats(board, other, cell) >= 2),
        ("make a threat", _threats(board, mark, cell) == 1),
        ("take the centre", cell == CENTRE),
        ("take the opposite corner", board[OPPOSITE.get(cell, cell)] == other),
        ("take a corner", cell in CORNERS),
        ("take an edge", cell not in CORNERS and cell != CENTRE),
    )
    place = f"{cell // 3}-{cell % 3}"
    return (f"As {mark.upper()}, I {words} at {place}." for words, true in deeds if true)


def _threats(board: str, mark: str, cell: int) -> int:
    """Lines through `cell` that would hold two of `mark` and one empty cell."""
    lines = (line for line in LINES if cell in line)
    others = (sorted(board[c] for c in line if c != cell) for line in lines)
    return sum(pair == sorted((".", mark)) for pair in others)
