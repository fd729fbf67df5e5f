"""The table of TextArena's environments holds against the library's own registry."""

import random
import subprocess
import sys

import pytest

from tesuji.core.errors import GameError
from tesuji.games.catalogue import FAMILIES, game_info, list_games, load_game
from tesuji.games.openspiel.family import names as openspiel_names
from tesuji.games.textarena.library import library, registry
from tesuji.games.textarena.names import every_name, facts, known, reason


def test_the_table_names_every_environment_of_the_registry_and_no_other():
    assert set(every_name()) == set(registry())
    assert len(every_name()) == 712 and len(known()) == 238


def test_the_table_knows_how_many_may_sit_down():
    for name, told in known().items():
        if reason(told.needs) or name.startswith(("Sokoban", "Sudoku", "RushHour")):
            continue  # slow to make; one seat each
        assert game_info(name).seats == told.seats
        for seats in {told.usual, *told.seats}:
            options = {"num_players": seats} if told.seats[0] < told.seats[1] else {}
            small = {"Snake-v0": 9, "Surround-v0": 9}.get(name, 99)  # more do not fit on the board
            if seats <= small:
                assert load_game(name, options).start(1).to_act, (name, seats)


def test_what_is_said_to_be_unavailable_is_and_the_rest_is_not():
    refused = {}
    for name in known():
        try:
            library(name)
        except GameError as error:
            refused[name] = error.what
    closed = {name: reason(told.needs) for name, told in known().items() if reason(told.needs)}
    assert set(refused) <= set(closed)
    for name in ("Chess-v0", "Klondike-v0", "BabyAiText-v0", "UsedCar-v0-balanced"):
        assert name in closed and name in refused
    for name in closed:
        with pytest.raises(GameError, match="unavailable"):
            load_game(name)


def test_no_name_means_two_games():
    assert not set(every_name()) & set(openspiel_names())
    assert "textarena" in FAMILIES


def test_a_list_needs_no_library_and_takes_no_time():
    code = (
        "import sys, time; from tesuji.games.textarena import family as f; "
        "t = time.monotonic(); [f.info(n) for n in f.listed()]; "
        "assert time.monotonic() - t < 0.5; assert 'textarena' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_list_leaves_out_the_further_views_which_can_be_loaded_all_the_same():
    listed = {info.name for info in list_games() if info.family == "textarena"}
    assert listed == set(known())
    assert load_game("SecretMafia-v0-raw").start(1).to_act
    assert facts("Nim-v0-large-train").name == "Nim-v0-large"


def test_importing_the_library_leaves_the_global_generator_alone():
    state = random.getstate()
    library("Nim-v0")
    load_game("Nim-v0").start(3)
    assert random.getstate() == state
