"""The catalogue, its errors, third-party games, the rules in words, and `tesuji games`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from other_packages import install
from typer.testing import CliRunner

from tesuji.cli.games import app, parse_options
from tesuji.core.errors import GameError, RecipeError
from tesuji.games.catalogue import game_info, list_games, load_game
from tesuji.players.registry import players_of

HERE = list_games()


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_the_catalogue_is_light_to_import() -> None:
    code = (
        "import sys, tesuji.games.catalogue, tesuji.cli.games\n"
        "print({'pyspiel', 'torch', 'rich.table', 'numpy'} & set(sys.modules))"
    )
    assert run_python(code).stdout.strip() == "set()"


def test_without_openspiel_its_games_are_unavailable_with_the_reason() -> None:
    code = (
        "import sys; sys.modules['pyspiel'] = None\n"
        "from tesuji.games.catalogue import list_games, load_game\n"
        "print([(i.name, i.unavailable) for i in list_games()])\n"
        "try: load_game('tic_tac_toe')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    listed, failed = run_python(code).stdout.splitlines()[:2]
    assert "openspiel games" in listed and "pyspiel" in listed
    assert failed.startswith("GameError") and "tic_tac_toe" in failed


def test_every_game_of_openspiel_is_listed_and_only_three_are_unavailable() -> None:
    found = {info.name: info for info in list_games() if info.family == "openspiel"}
    assert len(found) == 126
    closed = {name: info.unavailable for name, info in found.items() if info.unavailable}
    assert set(closed) == {"crossword", "efg_game", "nfg_game"}
    assert "no numbered actions" in closed["crossword"] and "filename" in closed["efg_game"]
    assert not players_of(found["crossword"])


@pytest.mark.parametrize(
    ("name", "opponents", "metrics"),
    [
        ("tic_tac_toe", ["minimax", "mcts", "random"], ("certificate", "optimal_moves")),
        ("connect_four", ["mcts", "minimax", "random"], ()),
        ("backgammon", ["mcts", "random"], ()),
        ("kuhn_poker", ["cfr", "ismcts", "random"], ("exploitability",)),
        ("liars_dice", ["random"], ("exploitability",)),
        ("hearts", ["random"], ()),
        ("goofspiel", ["random"], ()),
        ("2048", ["random"], ()),
    ],
)
def test_opponents_and_metrics(name: str, opponents: list[str], metrics: tuple[str, ...]) -> None:
    info = game_info(name)
    assert [*players_of(info)] == [*opponents, "scripted"]
    assert info.metrics == metrics


def test_facts_of_a_game_follow_its_options() -> None:
    assert game_info("kuhn_poker").seats == (2, 10)
    three = load_game("kuhn_poker", {"players": 3})
    assert (three.num_players, three.info.seats, three.info.max_utility) == (3, (3, 3), 4.0)
    assert three.info.metrics == ("nash_conv",)
    assert players_of(load_game("connect_four", {"rows": 3, "columns": 3}).info)[0] == "minimax"
    assert players_of(load_game("liars_dice", {"dice_sides": 2}).info)[0] == "cfr"
    assert load_game("go", {"komi": 6.5}).info.metrics == ()


def test_a_wrapped_game_has_the_seats_of_the_game_inside() -> None:
    assert game_info("repeated_game").seats == (2, 2)
    assert game_info("coop_to_1p").seats == (1, 1)


@pytest.mark.parametrize(
    ("name", "options", "where", "words"),
    [
        ("tictactoe", {}, "game.name", "did you mean tic_tac_toe"),
        ("qqqqqq", {}, "game.name", "see `tesuji games`"),
        ("kuhn_poker", {"player": 3}, "game.options.player", "did you mean players"),
        ("tic_tac_toe", {"rows": 3}, "game.options.rows", "its options: none"),
        ("kuhn_poker", {"players": "x"}, "game.options.players", "whole number, not 'x'"),
        ("kuhn_poker", {"players": 2.5}, "game.options.players", "whole number"),
        ("kuhn_poker", {"players": True}, "game.options.players", "whole number"),
        ("kuhn_poker", {"players": 30}, "game.options.players", "from 2 to 10"),
        ("connect_four", {"rows": 0}, "game.options.rows", "at least 1"),
        ("havannah", {"board_size": 100}, "game.options.board_size", "from 2 to 25"),
        ("nim", {"is_misere": 1}, "game.options.is_misere", "true or false"),
        ("nim", {"pile_sizes": "a"}, "game.options", "OpenSpiel refuses"),
        ("breakthrough", {"rows": 1}, "game.options", "OpenSpiel refuses"),
        ("go", {"komi": "x"}, "game.options.komi", "a number, not 'x'"),
        ("misere", {"game": "tictactoe()"}, "game.options.game", "tic_tac_toe"),
        ("misere", {"game": "a("}, "game.options.game", "is not a game"),
        ("misere", {"game": "kuhn_poker(players=30)"}, "game.options.players", "from 2 to 10"),
        ("universal_poker", {"numPlayers": 3}, "game.options.stack", "3 numbers"),
        ("efg_game", {}, "game.name", "unavailable"),
        ("efg_game", {"filename": "/nowhere.efg"}, "game.options.filename", "no such file"),
        ("crossword", {}, "game.name", "unavailable"),
    ],
)
def test_errors_say_what_where_and_what_to_do(
    name: str,
    options: dict[str, int],
    where: str,
    words: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(GameError) as caught:
        load_game(name, options)
    assert caught.value.where == where
    assert words in str(caught.value)
    assert capfd.readouterr().err == ""  # the message comes once, from us


def test_options_are_converted_to_what_openspiel_asks_for() -> None:
    assert load_game("go", {"komi": 7, "board_size": 9.0}).start(0).to_act == (0,)
    assert load_game("nim", {"pile_sizes": 3}).start(0).to_act == (0,)
    assert load_game("misere", {"game": "nim"}).info.seats == (2, 2)


def test_games_from_files(tmp_path: Path) -> None:
    import pyspiel

    efg, nfg = tmp_path / "kuhn.efg", tmp_path / "pd.nfg"
    efg.write_text(pyspiel.get_kuhn_poker_efg_data())
    nfg.write_text(pyspiel.game_to_nfg_string(pyspiel.load_game("matrix_pd")))
    assert load_game("efg_game", {"filename": str(efg)}).num_players == 2
    match = load_game("nfg_game", {"filename": str(nfg)}).start(0)
    assert match.to_act == (0, 1)


def add_package(folder: Path, entry: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real installed package, as the import system sees it, with one entry point."""
    name, _, value = entry.partition(" = ")
    entries = {"tesuji.games": {name: value}}
    install(folder, "someones-games", "someones_games", code, entries, monkeypatch)


WORKING = """
from tesuji.games.openspiel.game import OpenSpielGame
def make(name, options):
    return OpenSpielGame("nim", {"pile_sizes": "1;2", **options})
def other(name, options):
    return 5
def broken(name, options):
    raise RuntimeError("the licence ran out")
"""


def test_a_game_of_another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_package(tmp_path, "my_nim = someones_games:make", WORKING, monkeypatch)
    match = load_game("my_nim").start(0)
    assert len(match.legal_moves(0) or ()) == 3
    assert len(load_game("my_nim", {"pile_sizes": "4"}).start(0).legal_moves(0) or ()) == 4
    assert len(list_games()) == len(HERE) + 1
    assert game_info("my_nim").max_moves == 3


@pytest.mark.parametrize(
    ("entry", "code", "reason"),
    [
        ("mine = someones_games:make", "import no_such_library", "no_such_library"),
        ("mine = someones_games:make", "raise ValueError('half installed')", "half installed"),
        ("mine = someones_games:nothing", "", "nothing"),
        ("mine = someones_games:other", WORKING, "made int, not a Game"),
        ("mine = someones_games:broken", WORKING, "the licence ran out"),
    ],
)
def test_a_broken_package_is_listed_and_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, code: str, reason: str
) -> None:
    add_package(tmp_path, entry, code, monkeypatch)
    listed = [info for info in list_games() if info.family == "someones-games"]
    assert len(listed) == 1 and reason in listed[0].unavailable
    assert len(list_games()) == len(HERE) + 1
    assert load_game("nim").start(0).to_act == (0,)
    with pytest.raises(GameError, match=r"mine is unavailable|not a Game"):
        load_game("mine")


def test_rules_are_short_true_words_with_the_options_filled_in() -> None:
    assert "7 columns of 6 rows" in load_game("connect_four").rules
    assert "side 9" in load_game("y", {"board_size": 9}).rules
    assert "(Cooperate, Defect): 0, 10" in load_game("matrix_pd").rules
    assert "A move looks like `x(1,1)`." in load_game("tic_tac_toe").rules
    misere = load_game("misere").rules
    assert "three marks in a row" in misere and "whoever would win loses" in misere
    generated = load_game("sheriff").rules
    assert "2 players who take turns; some things are hidden" in generated
    assert "crowd" in load_game("mfg_garnet").rules


@pytest.mark.parametrize("name", [i.name for i in list_games() if not i.unavailable])
def test_every_game_has_rules(name: str) -> None:
    rules = load_game(name).rules
    assert len(rules) > 40 and "{" not in rules.split("\n")[0]


def test_the_list() -> None:
    result = CliRunner().invoke(app, [], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    assert "turn_based_simultaneous_game" in result.output
    assert "crossword: its moves" in result.output
    closed = sum(1 for info in HERE if info.unavailable)
    assert f"{len(HERE) - closed} games can be played, {closed} cannot" in result.output


def test_the_list_filtered_and_as_json() -> None:
    result = CliRunner().invoke(app, ["--match", "POKER", "--available", "--json"])
    found = {row["name"]: row for row in json.loads(result.output)}
    assert {"kuhn_poker", "leduc_poker", "universal_poker"} <= set(found)
    assert found["kuhn_poker"]["seats"] == [2, 10]
    everything = json.loads(CliRunner().invoke(app, ["--json"]).output)
    assert len(everything) == len(HERE)
    assert next(row for row in everything if row["name"] == "mfg_garnet")["min_utility"] is None


def test_show_a_game() -> None:
    result = CliRunner().invoke(app, ["show", "kuhn_poker", "--option", "players=3"])
    assert result.exit_code == 0, result.output
    for words in ("Kuhn Poker (players=3)", "Legal Actions:", "Returns: Player 0", "nash_conv"):
        assert words in result.output


def test_show_caps_a_long_match() -> None:
    result = CliRunner().invoke(app, ["show", "oware"])
    assert "only the first 30 turns are shown" in result.output


def test_show_an_unknown_game_raises_one_message() -> None:
    result = CliRunner().invoke(app, ["show", "tictactoe"])
    assert isinstance(result.exception, GameError)


@pytest.mark.parametrize("pair", ["players", "=3", "players=[1]", "players="])
def test_options_on_the_command_line_that_are_none(pair: str) -> None:
    with pytest.raises(RecipeError, match="not an option"):
        parse_options([pair])


def test_options_on_the_command_line() -> None:
    assert parse_options(["players=3", "komi=6.5", "swap=true", "game=nim()"]) == {
        "players": 3,
        "komi": 6.5,
        "swap": True,
        "game": "nim()",
    }


def test_a_very_long_list_of_moves_is_shown_in_part() -> None:
    result = CliRunner().invoke(app, ["show", "wordle"])
    assert result.exit_code == 0, result.output
    assert "more lines ..." in result.output and len(result.output.splitlines()) < 200
