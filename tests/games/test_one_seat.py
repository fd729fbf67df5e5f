"""Games for one seat: what is a win in each, by random play, by refused replies, and by play known
to solve it."""

import contextlib
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from tesuji.core.types import Ending, Episode, Task
from tesuji.episodes.arena import play_matches
from tesuji.episodes.reply_rules import TurnRules
from tesuji.episodes.results import result_of, score_of, success_of
from tesuji.games.base import Game, GameInfo, Match
from tesuji.games.catalogue import list_games, load_game
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.players.basic.random import RandomPlayer
from tesuji.players.registry import can_play, make_player
from tesuji.recipe.schema.sections import PlayerSection

SLOW = ("Sokoban", "Sudoku-v0-hard")  # seconds to minutes to begin a match
NOTHING_WON = {  # games that say nothing of winning
    *("Bandit-v0", "Bandit-v0-hard", "Set-v0", "coin_game", "mfg_crowd_modelling"),
    *("mfg_crowd_modelling_2d", "mfg_dynamic_routing", "mfg_garnet", "pathfinding", "prompts"),
    *("stones_and_gems", "yacht"),
}


def one_seat() -> list[Game]:
    infos = (info for info in list_games() if info.seats[0] == 1 and not info.unavailable)
    names = [info.name for info in infos if not info.name.startswith(SLOW)]
    several = {"coin_game", "pathfinding", "yacht"}
    games = [load_game(name, {"players": 1} if name in several else {}) for name in names]
    assert all(game.num_players == 1 for game in games)
    return games


class Says(Player):
    """Replies what a function of the match says."""

    name = "says"

    def __init__(self, what: Callable[[Any], str]) -> None:
        self.what = what

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        return [Reply(text=self.what(request.match)) for request in requests]


def played(
    game: Game, player: Player, seeds: Iterable[int] = (1,), most: int = 300
) -> list[Episode]:
    tasks = [Task(game.name, seed, ("one",), game.options) for seed in seeds]
    rules = TurnRules(max_moves=most)
    with contextlib.redirect_stdout(io.StringIO()):  # LogicPuzzle prints what it counts
        return list(play_matches(tasks, game=game, players={"one": player}, rules=rules))


def test_random_play_wins_only_what_is_paid_in_full_or_called_won() -> None:
    above_nothing, won, named = 0, 0, {}
    for game in one_seat():
        named[game.name] = game.info.has_winners
        if not can_play("random", game.info):
            continue
        for episode in played(game, RandomPlayer(), range(3)):
            result = result_of(episode, 0)
            assert (result == "unknown") <= (game.name in NOTHING_WON)
            full = episode.returns[0] >= game.info.max_utility - 1e-9
            if result == "win":
                assert full and episode.ending is Ending.FINISHED, game.name
                won += 1
            else:
                above_nothing += episode.returns[0] > 0
    assert {name for name, has in named.items() if not has} == NOTHING_WON
    assert len(named) > 170 and above_nothing > 90 and won > 2


@pytest.mark.parametrize("text", ["", "I would rather not."])
def test_a_forfeit_never_wins(text: str) -> None:
    """Where the environment pays for what was reached before, and where no reply is the right one
    (a question that no function answers), too."""
    irrelevant = load_game("bfcl", {"category": "irrelevance", "split": "all"})
    for game in [*one_seat(), irrelevant]:
        if game.name == "prompts":
            continue
        for episode in played(game, Says(lambda match: text)):
            if episode.ending is Ending.FORFEIT:
                assert result_of(episode, 0) != "win" and not success_of(episode, 0, game.info)
            elif game is not irrelevant:
                assert result_of(episode, 0) in ("loss", "unknown"), game.name


def test_our_own_refused_reply_loses_a_match_that_paid_for_it() -> None:
    """After some good moves these environments pay for a refused reply nearly as for a win."""
    for name, good in {"PegJump-v0": peg_jump, "FrozenLake-v0": frozen_lake}.items():
        game = load_game(name)

        def nearly(match: Any, good: Callable[[Any], str] = good) -> str:
            return good(match) if len(match._replies) < 3 else "no"

        [episode] = played(game, Says(nearly))
        assert episode.ending is Ending.FORFEIT and episode.returns[0] > 0.1
        assert result_of(episode, 0) == "loss" and score_of(episode, 0, game.info) == 0.0


def test_a_match_cut_off_is_not_won() -> None:
    [episode] = played(load_game("TowerOfHanoi-v0"), Says(hanoi), most=3)
    assert episode.ending is Ending.TRUNCATED and result_of(episode, 0) == "loss"


# Play that solves


def env(match: Match) -> Any:
    return match.env  # type: ignore[attr-defined]


def state(match: Match) -> dict[str, Any]:
    found: dict[str, Any] = env(match).state.game_state
    return found


def hanoi(match: Match) -> str:
    towers = state(match)["towers"]
    size = sum(map(len, towers.values()))
    where = {disk: tower for tower, disks in towers.items() for disk in disks}
    target = "C"
    for disk in range(size, 0, -1):
        if where[disk] != target:
            move = f"[{where[disk]} {target}]"
            target = next(t for t in "ABC" if t not in (where[disk], target))
            chosen = move
    return chosen


def frozen_lake(match: Match) -> str:
    grid, start = state(match)["grid"], state(match)["player_pos"]
    steps = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
    ways, seen = [(start, [])], {start}  # type: ignore[var-annotated]
    for (row, column), way in ways:
        if grid[row][column] == "G":
            return f"[{way[0]}]"
        for name, (down, right) in steps.items():
            at = row + down, column + right
            inside = all(0 <= one < len(grid) for one in at)
            if inside and at not in seen and grid[at[0]][at[1]] != "H":
                seen.add(at)
                ways.append((at, [*way, name]))
    raise AssertionError("no way")


def peg_jump(match: Match) -> str:
    def solve(board: tuple[bool, ...]) -> list[tuple[int, int]] | None:
        if sum(board) == 1:
            return []
        for start, over, end in env(match).ALLOWED_MOVES:
            if board[start] and board[over] and not board[end]:
                after = [
                    place in (end,) or (p and place not in (start, over))
                    for place, p in enumerate(board)
                ]
                rest = solve(tuple(after))
                if rest is not None:
                    return [(start, end), *rest]
        return None

    way = solve(tuple(state(match)["board"]))
    assert way
    return "[{} {}]".format(*way[0])


def minesweeper(match: Match) -> str:
    field = env(match)
    if field.first_move:
        return "[0 0]"
    rows, columns = range(field.rows), range(field.cols)
    row, column = next(
        (r, c) for r in rows for c in columns if field.grid[r][c] != -1 and not field.revealed[r][c]
    )
    return f"[{row} {column}]"


def fill(match: Match, solution: Any, empty: Any, form: str, first: int = 0) -> str:
    board = state(match)["board"]
    row, column = next(
        (r, c) for r, line in enumerate(board) for c, x in enumerate(line) if x == empty
    )
    return form.format(row + first, column + first, solution[row][column])


def guess(match: Match) -> str:
    low, high = env(match).min_number, env(match).max_number
    for number, hint in state(match)["guess_history"]:
        low, high = (low, number - 1) if hint == "lower" else (number + 1, high)
    return f"[{(low + high) // 2}]"


def secretary(match: Match) -> str:
    draws, at = state(match)["draws"], state(match)["current_idx"] - 1
    return "[accept]" if draws[at] == max(draws) else "[continue]"


def twenty_forty_eight(match: Match) -> str:
    import copy

    for move, number in env(match).ACTIONS.items():
        if copy.deepcopy(env(match))._apply_move(number)[0]:
            return str(move)
    raise AssertionError("the match is over")


def cryptarithm(match: Match) -> str:
    digits = {"S": 9, "E": 5, "N": 6, "D": 7, "M": 1, "O": 0, "R": 8, "Y": 2}
    letter = next(one for one in digits if one not in env(match).mapping)
    return f"[{letter} {digits[letter]}]"


SOLVERS: dict[str, tuple[Callable[[Any], str], dict[str, Any]]] = {
    "2048-v0-ultra-easy": (twenty_forty_eight, {}),
    "Countdown-v0": (lambda match: "[0 1 *]", {"numbers": [25, 5, 3], "target": 125}),
    "Crosswords-v0": (
        lambda m: fill(m, state(m)["solution"], "_", "[{} {} {}]"),
        {"max_turns": 99},
    ),
    "Cryptarithm-v0": (cryptarithm, {}),
    "FrozenLake-v0": (frozen_lake, {}),
    "GuessTheNumber-v0": (guess, {}),
    "Mastermind-v0": (lambda m: "[" + " ".join(map(str, state(m)["secret_code"])) + "]", {}),
    "Minesweeper-v0-small": (minesweeper, {}),
    "PegJump-v0": (peg_jump, {}),
    "Secretary-v0": (secretary, {}),
    "Sudoku-v0-very-easy": (lambda m: fill(m, env(m).full_grid, 0, "[{} {} {}]", 1), {}),
    "ThreeCardMonte-v0": (lambda match: f"[{env(match).ball_pos}]", {}),
    "TowerOfHanoi-v0": (hanoi, {}),
}


@pytest.mark.parametrize("name", SOLVERS)
def test_an_environment_that_is_solved_is_won(name: str) -> None:
    solver, options = SOLVERS[name]
    game = load_game(name, options)
    for episode in played(game, Says(solver), (1, 2, 3)):
        assert result_of(episode, 0) == "win", (name, episode.reason)
        assert success_of(episode, 0, game.info) and score_of(episode, 0, game.info) == 1.0


def test_a_fifteen_puzzle_that_is_solved_is_won_and_not_broken_off() -> None:
    """The library asks its state for something it has not, just there."""

    def last_move(match: Any) -> str:
        env(match).board[:] = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, None, 15]]
        return "[left]"

    [episode] = played(load_game("FifteenPuzzle-v0"), Says(last_move))
    assert (episode.ending, result_of(episode, 0)) == (Ending.FINISHED, "win")


@pytest.mark.parametrize(
    ("name", "options", "player"),
    [
        ("wordle", {"words": 200}, "entropy"),
        ("rg_chain_sum", {}, "answer_key"),
        ("rg_chain_sum", {"partial": True}, "answer_key"),
        ("bfcl", {"category": "simple_python"}, "answer_key"),
        ("catch", {}, "mcts"),
    ],
)
def test_a_player_that_solves_the_game_wins(
    name: str, options: dict[str, Any], player: str
) -> None:
    game = load_game(name, options)
    solver = make_player(PlayerSection(player=player), game=game)
    assert {result_of(e, 0) for e in played(game, solver, range(4))} == {"win"}


@pytest.mark.parametrize(
    ("name", "options", "moves"),
    [
        ("cliff_walking", {}, ["UP", *["RIGHT"] * 7, "DOWN"]),
        ("deep_sea", {}, None),
        ("2048", {"max_tile": 8}, None),
    ],
)
def test_openspiel_s_games_for_one_are_won_by_all_that_can_be_paid(
    name: str, options: dict[str, Any], moves: list[str] | None
) -> None:
    game = load_game(name, options)
    if moves:
        [episode] = played(game, Says(lambda m: moves[len(m.state.history())]))
        assert result_of(episode, 0) == "win"
        return
    best = max(played(game, RandomPlayer(), range(60)), key=lambda e: e.returns[0])
    assert result_of(best, 0) == "win"


# Full pay for a match that was not won


def test_full_pay_is_no_win_where_the_environment_says_it_was_lost() -> None:
    def many_points(match: Any) -> str:
        state(match)["score"] = 100_000
        row = [32, 4, 8, 16]
        state(match)["board"][:] = [row[:], row[::-1], row[:], [64, 128, 0, 256]]
        return "[right]"

    def closed(match: Any) -> str:
        """The one clue is right, which asks for no edge; two edges elsewhere are no loop."""
        env(match).clues[:] = [*([None] * 4 for _ in range(3)), [None, None, None, 0]]
        return "[h 0 0]" if not env(match).h_edges else "[h 2 2]"

    cases = [
        ("2048-v0", {}, many_points),
        ("Countdown-v0", {"numbers": [100, 3], "target": 100}, lambda match: "[0 1 +]"),
        ("Slitherlink-v0", {"max_turns": 2}, closed),
    ]
    for name, options, play in cases:
        game = load_game(name, options)
        [episode] = played(game, Says(play))
        assert episode.returns == (1.0,) and episode.ending is Ending.FINISHED, name
        assert result_of(episode, 0) == "loss", episode.reason
        assert not success_of(episode, 0, game.info) and score_of(episode, 0, game.info) < 0.5


def test_partial_pay_is_no_win() -> None:
    info: GameInfo = load_game("rg_chain_sum").info
    for returns, winners, result in [((0.9,), [], "loss"), ((1.0,), [0], "win")]:
        about = {"winners": winners}
        episode = Episode(info.name, {}, 1, ("one",), (), returns, provenance=about)
        assert result_of(episode, 0) == result
        assert (
            success_of(episode, 0, info) == (score_of(episode, 0, info) > 0.5) == (result == "win")
        )
