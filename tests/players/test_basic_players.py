"""The CFR, scripted and human players: equilibria, fixed rules, and a person at a keyboard."""

import io
import os
import pty
import random
import sys

import pyspiel
import pytest
from rich.console import Console

from tesuji.core.errors import GameError, RecipeError, TesujiError
from tesuji.core.types import Ending, Move, Task
from tesuji.episodes.arena import play_matches
from tesuji.games.board import drawn
from tesuji.games.catalogue import load_game
from tesuji.players.base import MoveRequest
from tesuji.players.basic.human import HumanLeft, HumanPlayer, coloured
from tesuji.players.basic.random import RandomPlayer
from tesuji.players.basic.scripted import ScriptedPlayer
from tesuji.players.search.cfr import CFRPlayer

KUHN = load_game("kuhn_poker")
TIC_TAC_TOE = load_game("tic_tac_toe")


def request(game, match, seed=0):
    seat = match.to_act[0]
    legal = match.legal_moves(seat)
    return MoveRequest(game, match, seat, match.observe(seat), legal, seed)


def positions(game, seeds):
    """Requests from random play, one for every turn of every match."""
    for seed in seeds:
        match, dice = game.start(seed), random.Random(seed)
        while match.to_act:
            asked = request(game, match.clone(), seed=seed)
            yield asked
            match.play(asked.seat, dice.choice(asked.legal))


class TestCFR:
    def test_kuhn_is_solved(self):
        policy = CFRPlayer(KUHN).policy
        uniform = pyspiel.UniformRandomPolicy(KUHN.spiel)
        assert pyspiel.exploitability(KUHN.spiel, uniform) == pytest.approx(0.4583, abs=1e-4)
        assert 0 <= pyspiel.exploitability(KUHN.spiel, policy) < 1e-3
        start = KUHN.spiel.new_initial_state()
        first, second = pyspiel.expected_returns(start, [policy, policy], -1, True)
        assert first == pytest.approx(-1 / 18, abs=1e-3) and second == -first

    def test_more_iterations_are_closer_to_the_equilibrium(self):
        near, far = (CFRPlayer(KUHN, iterations=n).policy for n in (1000, 3))
        assert pyspiel.nash_conv(KUHN.spiel, near) < pyspiel.nash_conv(KUHN.spiel, far) / 10

    def test_leduc_comes_near_its_equilibrium(self):
        leduc = load_game("leduc_poker")
        policy = CFRPlayer(leduc, iterations=100).policy
        assert pyspiel.nash_conv(leduc.spiel, policy) < 0.05  # uniformly random: 4.7

    def test_moves_follow_the_policys_shares(self):
        player, match = CFRPlayer(KUHN), next(m for m in map(KUHN.start, range(99)) if king(m))
        shares = dict(player.policy.get_state_policy("2"))
        asked = [request(KUHN, match, seed) for seed in range(2000)]
        bets = sum(reply.move.text == "Bet" for reply in player.choose(asked))
        assert bets / 2000 == pytest.approx(shares[1], abs=0.04)

    def test_a_move_follows_from_the_request_alone(self):
        player, asked = CFRPlayer(KUHN), list(positions(KUHN, range(40)))
        together = player.choose(asked)
        assert together == [CFRPlayer(KUHN).choose([one])[0] for one in asked]
        assert together[::-1] == player.choose(asked[::-1])

    def test_the_other_hand_is_not_seen(self):
        mine = [m for m in map(KUHN.start, range(60)) if king(m)]
        assert len({m.render() for m in mine}) == 2  # the other holds jack or queen
        for seed in range(20):
            replies = CFRPlayer(KUHN).choose([request(KUHN, match, seed) for match in mine])
            assert len(set(replies)) == 1

    def test_a_game_is_solved_once(self):
        assert CFRPlayer(KUHN).policy is CFRPlayer(load_game("kuhn_poker")).policy
        three = load_game("kuhn_poker", {"players": 3})
        assert CFRPlayer(three).policy.size() > CFRPlayer(KUHN).policy.size()

    def test_games_that_differ_in_what_their_text_leaves_out_are_solved_apart(self):
        often, seldom = (
            CFRPlayer(load_game("restricted_nash_response", {"p": p}), iterations=100)
            for p in (0.2, 0.9)
        )
        assert often.policy.policy_table() != seldom.policy.policy_table()

    @pytest.mark.parametrize(
        "name",
        [
            "add_noise",
            "cached_tree",
            "coordinated_mp",
            "lewis_signaling",
            "restricted_nash_response",
            "tiny_hanabi",
        ],
    )
    def test_other_small_games_are_played_to_their_end(self, name):
        game = load_game(name)
        tasks = [Task(name, seed, ("cfr",) * game.num_players) for seed in range(10)]
        player = CFRPlayer(game, iterations=20)
        endings = {e.ending for e in play_matches(tasks, game=game, players={"cfr": player})}
        assert endings == {Ending.FINISHED}

    @pytest.mark.parametrize("name", ["tic_tac_toe", "matrix_rps", "liars_dice", "gin_rummy"])
    def test_games_it_cannot_solve_are_refused(self, name):
        with pytest.raises(GameError, match=f"cfr cannot solve {name}") as error:
            CFRPlayer(load_game(name))
        assert "kuhn_poker" in error.value.hint and error.value.where == "player: cfr"

    @pytest.mark.parametrize(
        ("name", "options"), [("leduc_poker", {}), ("kuhn_poker", {"players": 3})]
    )
    def test_another_game_than_the_one_solved_is_refused(self, name, options):
        other = load_game(name, options)
        with pytest.raises(GameError, match=f"solved kuhn_poker.* another game, {name}"):
            CFRPlayer(KUHN).choose([request(other, other.start(0))])


def king(match):
    return match.state.information_state_string(0) == "2"


class TestScripted:
    def test_first_last_and_preferred(self):
        asked = [request(TIC_TAC_TOE, TIC_TAC_TOE.start(0))]

        def text(*arguments):
            return ScriptedPlayer(*arguments).choose(asked)[0].move.text

        assert text() == "x(0,0)" and text("first") == "x(0,0)" and text("last") == "x(2,2)"
        assert text("last", ["o(1,1)", "x(1,1)", "x(0,1)"]) == "x(1,1)"
        assert text("first", ["nowhere"]) == "x(0,0)" and text("last", ["nowhere"]) == "x(2,2)"

    def test_a_whole_match_by_script(self):
        players = {
            "column": ScriptedPlayer(prefer=["x(0,1)", "x(1,1)", "x(2,1)"]),
            "last": ScriptedPlayer("last"),
        }
        task = Task("tic_tac_toe", 0, ("column", "last"))
        [episode] = play_matches([task], game=TIC_TAC_TOE, players=players)
        moves = [turn.played.text for turn in episode.turns]
        assert moves == ["x(0,1)", "o(2,2)", "x(1,1)", "o(2,1)", "x(0,0)", "o(2,0)"]
        assert episode.returns == (-1.0, 1.0)

    @pytest.mark.parametrize("legal", [None, ()])
    def test_it_says_so_where_there_is_no_list_of_moves(self, legal):
        asked = MoveRequest(TIC_TAC_TOE, TIC_TAC_TOE.start(0), 0, "", legal, 0)
        reply = ScriptedPlayer().choose([asked])[0]
        assert reply.move is None and "list of legal moves" in reply.error

    @pytest.mark.parametrize(
        ("options", "problem", "hint"),
        [
            ({"policy": "best"}, "no such policy: 'best'", "first or last"),
            ({"policy": 3}, "no such policy: 3", "first or last"),
            ({"prefer": [4]}, "must be a list of moves", 'prefer: ["x'),
            ({"prefer": "x(1,1)"}, "must be a list of moves", 'prefer: ["x'),
        ],
    )
    def test_wrong_options_are_refused(self, options, problem, hint):
        with pytest.raises(RecipeError, match=problem) as error:
            ScriptedPlayer(**options)
        assert hint in error.value.hint and error.value.where == "player: scripted"


def at_keyboard(*lines):
    """A human player that types these lines and then ends the input; and the screen."""
    screen, waiting = io.StringIO(), iter(lines)

    def ask(prompt):
        line = next(waiting, EOFError())
        if isinstance(line, Exception):
            raise line
        return line

    return HumanPlayer(Console(file=screen, width=80), ask), screen


class TestHuman:
    @pytest.mark.parametrize("typed", ["4", "x(1,1)", " X 1,1 ", "I play x(1,1)!"])
    def test_a_move_by_number_or_notation(self, typed):
        player, screen = at_keyboard(typed)
        reply = player.choose([request(TIC_TAC_TOE, TIC_TAC_TOE.start(0))])[0]
        assert reply.move == Move(4, "x(1,1)") and not reply.error
        assert "You are x" in screen.getvalue() and "0 │   │   │   │" in screen.getvalue()

    def test_a_models_probabilities_are_shown_when_asked_for(self):
        player, screen = at_keyboard("%", "4")
        player.chances = lambda request: {4: 0.75, 0: 0.25}
        player.choose([request(TIC_TAC_TOE, TIC_TAC_TOE.start(0))])
        lines = screen.getvalue().split("\n")
        assert [line for line in lines if "%" in line][:2] == [" 75.0%  x(1,1)", " 25.0%  x(0,0)"]
        player, screen = at_keyboard("%", "4")  # of a player without any it is no move
        player.choose([request(TIC_TAC_TOE, TIC_TAC_TOE.start(0))])
        assert "Not a legal move" in screen.getvalue()

    def test_the_sides_have_colours_where_there_are_any(self):
        match = TIC_TAC_TOE.start(0)
        for seat in (0, 1):
            match.play(seat, match.legal_moves(seat)[0])
        board = drawn(TIC_TAC_TOE, match.observe(0))
        styles = {board[span.start]: span.style for span in coloured(TIC_TAC_TOE, board).spans}
        assert styles == {"x": "bold blue", "o": "bold dark_orange"}

    def test_what_is_no_move_is_asked_again_with_the_reason(self):
        slips = ["", "e4", "0 or 1", UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")]
        player, screen = at_keyboard(*slips, "8")
        reply = player.choose([request(TIC_TAC_TOE, TIC_TAC_TOE.start(0))])[0]
        shown = screen.getvalue()
        assert reply.move.id == 8
        assert shown.count("Not a legal move") == 4 and shown.count("nothing was typed") == 2
        assert "Not a legal move (? lists the moves)\n" in shown, "said once"

    def test_a_taken_square_is_no_move(self):
        match = TIC_TAC_TOE.start(0)
        match.play(0, Move(4, ""))
        player, screen = at_keyboard("4", "0")
        assert player.choose([request(TIC_TAC_TOE, match)])[0].move == Move(0, "o(0,0)")
        assert "You are o" in screen.getvalue() and "Not a legal move" in screen.getvalue()

    def test_a_question_mark_lists_the_moves(self):
        player, screen = at_keyboard("?", "1")
        player.choose([request(KUHN, KUHN.start(0))])
        assert "0  Pass" in screen.getvalue() and "1  Bet" in screen.getvalue()

    def test_free_text_is_taken_as_it_is(self):
        player, screen = at_keyboard("?", "I offer two apples")
        asked = MoveRequest(KUHN, KUHN.start(0), 0, "trade", None, 0)
        assert player.choose([asked])[0].move == Move(-1, "I offer two apples")
        assert "any text is a move" in screen.getvalue()

    @pytest.mark.parametrize("lines", [("quit",), (" QUIT ",), ("q",), (), ("?", "x")])
    def test_leaving_is_possible_at_any_time(self, lines):
        player, _ = at_keyboard(*lines)
        with pytest.raises(HumanLeft, match="you left the table") as left:
            player.choose([request(KUHN, KUHN.start(0))])
        assert isinstance(left.value, TesujiError)  # one clear line, no traceback

    def test_a_move_that_is_called_like_a_command_can_be_played(self):
        legal = (Move(0, "Pass"), Move(9, "Q"))
        asked = MoveRequest(KUHN, KUHN.start(0), 0, "cards", legal, 0)
        player, _ = at_keyboard("Q", "q")
        assert player.choose([asked])[0].move == Move(9, "Q")
        with pytest.raises(HumanLeft):
            player.choose([asked])

    def test_nothing_shown_can_drive_the_terminal(self):
        legal = (Move(0, "\x1b[2Jboom"), Move(1, "[bold]b[/bold]"))
        asked = MoveRequest(
            KUHN, KUHN.start(0), 0, "\x1b]0;owned\x07 [red]a\r\u202eb :x:", legal, 0
        )
        player, screen = at_keyboard("?", "1")
        player.choose([asked])
        shown = screen.getvalue()
        assert not set(shown) & set("\x1b\x07\r\u202e")
        assert (
            "[red]a" in shown and ":x:" in shown and "[bold]b[/bold]" in shown
        )  # literal, no markup

    def test_only_the_own_hand_is_shown(self):
        screens = set()
        for match in (m for m in map(KUHN.start, range(60)) if king(m)):
            player, screen = at_keyboard("Pass")
            player.choose([request(KUHN, match)])
            screens.add(screen.getvalue())
        assert len(screens) == 1

    def test_a_whole_match_against_random(self):
        player, screen = at_keyboard(*(str(number) for _ in range(5) for number in range(9)))
        players = {"you": player, "random": RandomPlayer()}
        task = Task("tic_tac_toe", 3, ("you", "random"))
        [episode] = play_matches([task], game=TIC_TAC_TOE, players=players)
        mine = [turn for turn in episode.turns if turn.seat == 0]
        assert episode.ending is Ending.FINISHED and not any(turn.retried for turn in mine)
        assert screen.getvalue().count("You are x") == len(mine)


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_a_real_terminal():
    """Typed through a pseudo-terminal: no text, a slip, a question, a move, and leave."""
    pid, terminal = pty.fork()
    if pid == 0:
        _child()
    os.write(terminal, b"\xff\xfe\ne4\n?\nx(1,1)\nquit\n")
    shown = _read_all(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 7, shown
    assert shown.count("Not a legal move") == 2 and "8  x(2,2)" in shown
    assert "played x(1,1)" in shown and "left: you left the table" in shown


def _child():
    """Play one move, then say how the person left; exit 7 only if all of that happened."""
    code = 1
    try:
        player = HumanPlayer(Console(width=80))
        asked = request(TIC_TAC_TOE, TIC_TAC_TOE.start(0))
        sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115  (the process ends with it)
        sys.stdout = open(1, "w", encoding="utf-8")  # noqa: SIM115
        print("played", player.choose([asked])[0].move.text, flush=True)
        player.choose([asked])
    except HumanLeft as left:
        print("left:", left, flush=True)
        code = 7
    finally:
        os._exit(code)


def _read_all(terminal):
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # Linux: the other side has closed
            piece = b""
        if not piece:
            return shown.decode("utf-8", "replace")
        shown += piece
