"""The tic-tac-toe table as reward term, and how often it is wrong."""

import pytest
from judged_matches import GAMES, judged, play, play_on, random_matches, to_act

from tesuji.core.errors import RecipeError
from tesuji.episodes.rewards.tictactoe import table_value
from tesuji.players.basic.scripted import ScriptedPlayer
from tesuji.players.search.minimax import MinimaxPlayer, optimal_moves


@pytest.mark.parametrize(
    ("board", "mark", "cell", "value"),
    [
        ("xx.oo....", "x", 2, 1.0),
        ("xx.oo....", "o", 2, 0.8),
        ("xx.oo....", "o", 5, 1.0),
        (".........", "x", 4, 0.6),
        (".........", "x", 8, 0.4),
        (".........", "x", 7, 0.2),
        ("x...o...x", "o", 2, 0.4),
    ],
)
def test_the_table(board: str, mark: str, cell: int, value: float):
    assert table_value(board, mark, cell) == value


def test_the_table_judges_both_seats_from_their_own_side():
    episode = play("o(1,1)", "o(0,2)", "o(2,0)", seat=1, other=ScriptedPlayer())
    assert [turn.move.text for turn in episode.turns[::2]] == ["x(0,0)", "x(0,1)", "x(1,0)"]
    assert judged(episode, 0, tictactoe_table=1.0).total == (0.4, 0.2, 0.2)
    assert judged(episode, 1, tictactoe_table=1.0).total == (0.6, 0.8, 1.0)


def test_the_table_is_wrong_as_often_as_its_description_says():
    """In every position that can be reached, is a best move of the table one of minimax's?"""
    solver, seen = MinimaxPlayer(), {}

    def visit(match) -> None:
        if not match.to_act:
            return
        seat = to_act(match)
        mark, board = match.role(seat), "".join(match.observe(seat).split())
        if board in seen:
            return
        values = solver.solve(match)
        rated = {move: table_value(board, mark, move.id) for move in values}
        chosen = {move for move, value in rated.items() if value == max(rated.values())}
        right = set(optimal_moves(values))
        seen[board] = (mark, chosen.isdisjoint(right), not chosen <= right)
        for move in values:
            visit(play_on(match)(move))

    visit(GAMES["tic_tac_toe"].start(0))
    of_x = [(never, not_always) for mark, never, not_always in seen.values() if mark == "x"]
    assert len(of_x) == 2423
    assert sum(never for never, _ in of_x) == 104
    assert sum(not_always for _, not_always in of_x) == 148
    assert "104 of the 2,423" in " ".join(table_value.__doc__.split())
    assert "148" in table_value.__doc__


def test_the_table_is_for_one_game():
    [episode] = random_matches("kuhn_poker", 1)
    with pytest.raises(RecipeError, match="tictactoe_table knows tic_tac_toe, not kuhn_poker"):
        judged(episode, 0, tictactoe_table=1.0)
