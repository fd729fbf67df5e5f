"""Recorded games on the page: which are chosen, and the steps they are walked in."""

from dataclasses import replace

import pytest
from made_run import careful, careless, matches

from tesuji.core.types import Attempt, Ending, Episode, Found, Move, Task, Turn
from tesuji.episodes.arena import play_matches
from tesuji.evaluation.matches.against import outcome
from tesuji.games.base import Match
from tesuji.games.catalogue import load_game
from tesuji.games.picture import Cell, Grid
from tesuji.players.base import MoveRequest, OneByOne, Reply
from tesuji.report.views.replay import choose_games, grid_of, opponent_of, steps


def test_losses_come_first_and_every_opponent_is_met() -> None:
    episodes = matches(careless, "before")
    chosen = choose_games(episodes, 8)
    outcomes = [outcome(episode) for episode in chosen]
    assert outcomes[:3] == ["loss"] * 3
    assert {opponent_of(episode) for episode in chosen[:3]} == {
        "random",
        "mcts(simulations=100)",
        "minimax",
    }
    assert "win" in outcomes
    assert len(choose_games(episodes, 2)) == 2
    strangers = [replace(episode, players=("a", "b")) for episode in episodes]
    assert choose_games(strangers) == []


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("..x\n.o.\n...", ("..x", ".o.", "...")),
        ("\n. x\no .\n", (".x", "o.")),
        ("x", ()),
        ("a longer\nsentence or\n", ()),
        ("abc\nab", ()),
        ("", ()),
        ("ab cd\nef gh", ()),
    ],
)
def test_a_board_is_told_from_words(text, rows) -> None:
    assert grid_of(text) == rows


def test_steps_without_the_game_show_what_was_seen() -> None:
    (episode, *_) = matches(careful, "after", games=1)
    walk = steps(episode, ("m", "o"), None)
    assert len(walk) == len(episode.turns) + 1
    assert walk[0].grid == ("...", "...", "...")
    assert walk[1].changed == ((1, 1),)
    assert walk[1].title == "Turn 1: m as x"
    assert walk[1].says[0]["found"] == "read by its exact notation"
    assert not walk[-1].grid


def test_a_replayed_game_shows_its_last_position() -> None:
    (episode, *_) = matches(careful, "after", games=1)
    walk = steps(episode, ("m", "o"), load_game("tic_tac_toe"))
    assert walk[-1].grid == ("xxo", ".xo", ".ox")
    assert walk[-1].changed == ((2, 2),)
    assert all(len(step.changed) == 1 for step in walk[1:])


def test_a_record_that_the_game_contradicts_is_not_replayed() -> None:
    (episode, *_) = matches(careful, "after", games=1)
    first = replace(episode.turns[0], observation="xxx\n...\n...")
    changed = replace(episode, turns=(first, *episode.turns[1:]))
    assert steps(changed, ("m", "o"), load_game("tic_tac_toe"))[0].grid[0] == "xxx"


def test_with_hidden_cards_the_page_tells_what_the_seat_saw() -> None:
    game = load_game("kuhn_poker")
    match, turns = game.start(3), []
    while match.to_act:
        (seat,) = match.to_act
        move = match.legal_moves(seat)[0]
        said = Attempt(move.text, found=Found.EXACT, move=move)
        turns.append(Turn(seat, match.role(seat), match.observe(seat), (said,), move))
        match.play(seat, move)
    episode = Episode("kuhn_poker", {}, 3, ("a", "b"), tuple(turns), match.returns())
    walk = steps(episode, episode.players, game)
    assert walk[-1].position == match.render()
    assert [step.seen for step in walk[1:]] == [turn.observation for turn in turns]
    assert not any(step.grid for step in walk)


def test_an_illegal_reply_and_a_substitute_are_told() -> None:
    lost = next(e for e in matches(careless, "before") if e.ending == Ending.FORFEIT)
    last = steps(lost, lost.players, None)[-1]
    assert last.problem
    assert last.played == "plays nothing: forfeits"
    assert [attempt["problem"] for attempt in last.says] == ["no legal move in it", "not a square"]
    turn = replace(lost.turns[-1], played=Move(4, "x(1,1)"))
    forced = steps(replace(lost, turns=(turn,)), lost.players, None)[-1]
    assert "put in its place by the rules" in forced.played


def test_the_line_that_won_is_marked_at_the_end() -> None:
    game = load_game("tic_tac_toe")
    moves = ["x(0,0)", "o(1,0)", "x(0,1)", "o(1,1)", "x(0,2)"]
    player = ScriptedMoves(moves)
    [episode] = play_matches([Task(game.name, 1, ("a", "a"))], game=game, players={"a": player})
    walk = steps(episode, ["a", "a"], game)
    assert walk[-1].won == ((0, 0), (0, 1), (0, 2))
    assert all(step.won == () for step in walk[:-1])
    assert steps(episode, ["a", "a"], None)[-1].won == ()


class ScriptedMoves(OneByOne):
    """Plays what it is told, whoever's turn it is."""

    name = "a"

    def __init__(self, moves: list[str]) -> None:
        self.moves = moves

    def reply(self, request: MoveRequest) -> Reply:
        return Reply(self.moves.pop(0))


class DrawnMatch(Match):
    """Two cells, drawn by the match itself; its text is no board."""

    def __init__(self) -> None:
        self.pieces = ["", ""]

    @property
    def to_act(self) -> tuple[int, ...]:
        return (0,) if "" in self.pieces else ()

    def observe(self, seat: int) -> str:
        return f"seen {self.pieces}"

    def legal_moves(self, seat: int) -> tuple[Move, ...]:
        return tuple(Move(n, f"put {n}") for n, piece in enumerate(self.pieces) if not piece)

    def play(self, seat: int, move: Move) -> None:
        self.pieces[move.id] = "♞"

    def forfeit(self, seat: int) -> None:
        self.pieces = ["♞", "♞"]

    def returns(self) -> tuple[float, ...]:
        return (1.0,)

    def role(self, seat: int) -> str:
        return "one"

    def render(self) -> str:
        return f"the pieces are {self.pieces}"

    def picture(self, seat: int | None) -> Grid:
        return Grid((tuple(Cell(piece) for piece in self.pieces),))

    def clone(self) -> "DrawnMatch":
        copy = DrawnMatch()
        copy.pieces = list(self.pieces)
        return copy


def test_a_match_that_draws_itself_is_drawn_so(monkeypatch: pytest.MonkeyPatch) -> None:
    game = load_game("tic_tac_toe")
    monkeypatch.setattr(type(game), "start", lambda self, seed: DrawnMatch())
    player = ScriptedMoves(["put 1", "put 0"])
    [episode] = play_matches([Task(game.name, 1, ("a", "a"))], game=game, players={"a": player})
    walk = steps(episode, ["a"], game)
    assert [step.grid for step in walk] == [(("", ""),), (("", "♞"),), (("♞", "♞"),)]
    assert walk[1].changed == ((0, 1),)
