"""Players by name: what a recipe or the command line may say, and what is told when it is wrong."""

import subprocess
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest
from other_packages import install
from typer.testing import CliRunner

from tesuji.cli.games import app
from tesuji.core.errors import GameError, RecipeError
from tesuji.core.types import Ending, Task
from tesuji.episodes.arena import play_matches
from tesuji.games.catalogue import load_game
from tesuji.players import registry as players
from tesuji.players.base import MoveRequest
from tesuji.players.registry import make_player, parse_player, players_of
from tesuji.recipe.schema.sections import PlayerSection

TIC_TAC_TOE = load_game("tic_tac_toe")
KUHN = load_game("kuhn_poker")


def test_options_reach_the_player_and_its_name():
    section = parse_player("mcts:simulations=25,uct_c=1.4,rollouts=2")
    player = make_player(section, game=TIC_TAC_TOE)
    assert (player.simulations, player.uct_c, player.rollouts) == (25, 1.4, 2)
    assert player.name == "mcts(simulations=25, uct_c=1.4, rollouts=2)"
    assert make_player(parse_player(" mcts "), game=TIC_TAC_TOE).name == "mcts"


@pytest.mark.parametrize(
    ("game", "text"),
    [
        (TIC_TAC_TOE, "random"),
        (TIC_TAC_TOE, "minimax"),
        (TIC_TAC_TOE, "minimax:depth=2"),
        (TIC_TAC_TOE, "mcts:simulations=10"),
        (TIC_TAC_TOE, "scripted:policy=last"),
        (KUHN, "ismcts:simulations=10"),
        (KUHN, "cfr:iterations=10"),
    ],
)
def test_every_built_in_player_plays_by_its_name(game, text):
    player = make_player(parse_player(text), game=game)
    tasks = [Task(game.name, seed, ("it", "it")) for seed in range(3)]
    endings = [e.ending for e in play_matches(tasks, game=game, players={"it": player})]
    assert endings == [Ending.FINISHED] * 3


def test_an_unknown_player_is_answered_with_the_nearest_name():
    with pytest.raises(RecipeError, match="no player 'minmax'") as error:
        make_player(parse_player("minmax"), game=TIC_TAC_TOE)
    assert "did you mean minimax?" in error.value.hint
    assert all(name in error.value.hint for name in players.PLUGINS.names(players.BUILT_IN))


def test_an_unknown_option_is_answered_with_the_known_ones():
    with pytest.raises(RecipeError, match="mcts has no option 'simulation'") as error:
        make_player(parse_player("mcts:simulation=5"), game=TIC_TAC_TOE)
    assert "did you mean simulations?" in error.value.hint and "uct_c" in error.value.hint
    with pytest.raises(RecipeError, match="random has no option 'depth'") as error:
        make_player(parse_player("random:depth=3"), game=TIC_TAC_TOE)
    assert "its options: none" in error.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "mcts:simulations=0",
        "mcts:simulations=many",
        "mcts:simulations=1.5",
        "mcts:simulations=true",
        "mcts:uct_c=-1",
        "minimax:depth=0",
        "cfr:iterations=-3",
        "mcts:simulations=3000000000",
        "mcts:rollouts=99999999999",
        "mcts:uct_c=.inf",
        "mcts:uct_c=.nan",
        f"mcts:uct_c=1{'0' * 400}",
    ],
)
def test_numbers_are_checked_before_anything_runs(text):
    key = text.partition(":")[2].partition("=")[0]
    with pytest.raises(RecipeError, match=f"{key} must be a"):
        make_player(parse_player(text), game=KUHN)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_no_number_is_infinite(value):
    section = PlayerSection.model_validate({"player": "mcts", "uct_c": value})
    with pytest.raises(RecipeError, match="uct_c must be a number above 0"):
        make_player(section, game=TIC_TAC_TOE)


@pytest.mark.parametrize(
    "text", ["mcts:100", "mcts:=5", "mcts:simulations=5,fast", "mcts:player=random"]
)
def test_what_is_no_option_is_refused(text):
    with pytest.raises(RecipeError, match="cannot read") as error:
        parse_player(text)
    assert "key=value" in error.value.hint


def test_an_option_is_said_once():
    with pytest.raises(RecipeError, match="simulations is set twice") as error:
        parse_player("mcts:simulations=5,simulations=50")
    assert error.value.where == "mcts:simulations=5,simulations=50"


@pytest.mark.parametrize("text", ["mcts:simulations=[1", 'scripted:prefer=["x(1,1)'])
def test_a_value_that_is_no_yaml_is_refused(text):
    with pytest.raises(RecipeError) as error:
        parse_player(text)
    assert text.partition("=")[0].partition(":")[2] in error.value.where


def test_values_are_read_as_a_recipe_reads_them():
    assert parse_player("mcts:uct_c=1e0").options == {"uct_c": 1.0}
    assert parse_player("scripted:policy=on").options == {"policy": "on"}
    section = parse_player('scripted:prefer=["x(1,1)", "x(0,0)"],policy=last')
    assert section.options == {"prefer": ["x(1,1)", "x(0,0)"], "policy": "last"}


@pytest.mark.parametrize(
    ("name", "game", "instead"),
    [
        ("mcts", "kuhn_poker", "ismcts"),
        ("minimax", "kuhn_poker", "cfr"),
        ("cfr", "tic_tac_toe", "minimax"),
        ("ismcts", "liars_dice", "random"),
        ("mcts", "matrix_rps", "random"),
    ],
)
def test_a_player_that_does_not_fit_the_game_names_those_that_do(name, game, instead):
    with pytest.raises(GameError, match=f"{name} cannot play {game}") as error:
        make_player(parse_player(name), game=load_game(game))
    known = error.value.hint.partition(": ")[2].split(", ")
    assert instead in known and name not in known
    assert make_player(parse_player(instead), game=load_game(game)).name == instead


def test_another_packages_player_is_found_by_its_name(monkeypatch):
    """What an installed package declares under `tesuji.players` in its pyproject.toml."""
    declared = {
        "eager": "tesuji.players.basic.scripted:ScriptedPlayer",
        "torn": "tesuji.players.nowhere:Player",
    }
    points = tuple(EntryPoint(name, value, "tesuji.players") for name, value in declared.items())
    monkeypatch.setattr("tesuji.core.plugins._declared", lambda group, path: points)
    assert make_player(parse_player("eager:policy=last"), game=KUHN).policy == "last"
    with pytest.raises(RecipeError, match=r"'torn' of .* does not load"):
        make_player(parse_player("torn"), game=KUHN)


@pytest.mark.parametrize(
    ("name", "home"), [("minimax", TIC_TAC_TOE), ("mcts", TIC_TAC_TOE), ("ismcts", KUHN)]
)
def test_engines_say_that_they_need_a_game_of_openspiel(name, home):
    class Elsewhere:
        to_act = (0,)

    asked = MoveRequest(home, Elsewhere(), 0, "", (), 0)
    with pytest.raises(GameError, match=f"{name} plays OpenSpiel games only"):
        make_player(parse_player(name), game=home).choose([asked])


THEIRS = """
from tesuji.players.base import Player, Reply

class Centre(Player):
    name = "centre"
    def choose(self, requests):
        return [Reply(move=sorted(r.legal, key=lambda move: move.id != 4)[0]) for r in requests]

class Told(Centre):
    @staticmethod
    def plays(info):
        return info.name == "tic_tac_toe" or f"it knows no {info.title}"

class Never(Centre):
    @classmethod
    def plays(cls, info):
        return False

class Torn(Centre):
    @staticmethod
    def plays(info):
        return info.no_such_fact
"""


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    names = {name.lower(): f"their_players:{name}" for name in ("Centre", "Told", "Never", "Torn")}
    entries = {"tesuji.players": {**names, "gone": "their_players:Gone"}}
    install(tmp_path, "their-players", "their_players", THEIRS, entries, monkeypatch)


@pytest.mark.usefixtures("theirs")
def test_another_packages_player_plays_a_game_of_ours_by_its_own_word():
    assert "told" in players_of(TIC_TAC_TOE.info) and "told" not in players_of(KUHN.info)
    shown = CliRunner().invoke(app, ["show", "tic_tac_toe"], env={"COLUMNS": "120"})
    assert "minimax, mcts, random, scripted, told" in shown.output
    player = make_player(parse_player("told"), game=TIC_TAC_TOE)
    [episode] = play_matches(
        [Task("tic_tac_toe", 0, ("it", "it"))], game=TIC_TAC_TOE, players={"it": player}
    )
    assert episode.turns[0].played.text == "x(1,1)"
    with pytest.raises(GameError, match="told cannot play kuhn_poker: it knows no Kuhn Poker") as e:
        make_player(parse_player("told"), game=KUHN)
    assert e.value.hint == "for this game there are: cfr, ismcts, random, scripted"


@pytest.mark.usefixtures("theirs")
def test_a_player_that_does_not_say_is_let_try_and_one_that_fails_is_named():
    listed = {*players_of(TIC_TAC_TOE.info)}
    assert not listed & {"centre", "never", "torn", "gone"} and "told" in listed
    assert make_player(parse_player("centre"), game=TIC_TAC_TOE).name == "centre"
    with pytest.raises(GameError, match=r"never cannot play tic_tac_toe\n"):
        make_player(parse_player("never"), game=TIC_TAC_TOE)
    with pytest.raises(RecipeError, match=r"'torn' of their_players:Torn does not say .*tic_tac"):
        make_player(parse_player("torn"), game=TIC_TAC_TOE)


def test_a_game_that_is_not_to_be_had_is_played_by_nobody():
    assert players_of(replace(TIC_TAC_TOE.info, unavailable="it is elsewhere")) == ()


def test_who_can_play_is_told_without_a_game_library():
    code = (
        "import sys\nfrom tesuji.games.base import GameInfo\n"
        "from tesuji.players.registry import players_of\n"
        "info = GameInfo('holdem', '', 'poker', (2, 9), 'imperfect', True, False, True)\n"
        "heavy = {'pyspiel', 'pokerkit', 'textarena', 'torch', 'numpy'} & {*sys.modules}\n"
        "print(*players_of(info), *heavy)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    able = ["equity", "tight_aggressive", "always_call", "random", "scripted"]
    assert done.stdout.split() == able
