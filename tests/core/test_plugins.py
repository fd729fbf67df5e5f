"""Names of other packages: games, players and rewards alike, and what happens when they collide."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from other_packages import install
from places import ROOT

from tesuji.core.errors import EngineError, GameError, RecipeError, TesujiError
from tesuji.core.plugins import Plugins
from tesuji.core.types import Episode
from tesuji.episodes.rewards import total as rewards
from tesuji.episodes.rewards.total import _value, make_terms
from tesuji.games import catalogue
from tesuji.games.catalogue import game_info, list_games, load_game
from tesuji.players import registry as players
from tesuji.players.base import MoveRequest
from tesuji.players.registry import make_player, parse_player
from tesuji.recipe.schema.play import RewardTerm

THINGS = Plugins("tesuji.things", "thing", RecipeError)
OURS = ("ours", "other")
TIC_TAC_TOE = load_game("tic_tac_toe")
RACE = (ROOT / "examples" / "my_game" / "my_game.py").read_text()
CODE = f"""{RACE}
from tesuji.players.basic.scripted import ScriptedPlayer

class Last(ScriptedPlayer):
    def __init__(self, policy="last"):
        super().__init__(policy=policy)

class Bad(ScriptedPlayer):
    def choose(self, requests):
        raise KeyError("mine")

def boom():
    return lambda at: 1 / 0

def half(scale: float = 0.5):
    return lambda at: scale
"""


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(catalogue, "_settled", set())

    def add(package: str, group: str, **entries: str) -> None:
        install(tmp_path / package, package, "somebody", CODE, {group: entries}, monkeypatch)

    return add


def no_game(episode: Episode):
    raise AssertionError("no term here asks for the game")


def worth(name: str, **options: float):
    [(weight, term)] = make_terms({name: RewardTerm(weight=2.0, **options)}, no_game).terms.values()
    return weight * term(None)


def test_a_short_name_does_where_only_one_has_it(add):
    add("first", "tesuji.things", mine="somebody:half")
    assert THINGS.names(OURS) == ("ours", "other", "mine")
    assert THINGS.get("ours", OURS, "x") == THINGS.get("tesuji:ours", OURS, "x") == "ours"
    point = THINGS.get("mine", OURS, "x")
    assert point == THINGS.get("first:mine", OURS, "x")
    assert THINGS.load(point, "x").__name__ == "half"


@pytest.mark.parametrize("name", ["min", "first:min", "tesuji:mine", "second:mine"])
def test_a_name_that_nobody_has_is_answered_with_the_known_ones(add, name):
    add("first", "tesuji.things", mine="somebody:half")
    assert THINGS.find(name, OURS, "x") is None
    with pytest.raises(RecipeError, match=f"there is no thing '{name}'") as caught:
        THINGS.get(name, OURS, "place")
    assert caught.value.where == "place" and "known: ours, other, mine" in caught.value.hint


def test_a_name_of_two_packages_is_none_of_theirs(add):
    add("first", "tesuji.things", mine="somebody:half")
    add("second", "tesuji.things", mine="somebody:Last", ours="somebody:load")
    assert set(THINGS.names(OURS)) == {
        "tesuji:ours", "other", "first:mine", "second:mine", "second:ours",
    }  # fmt: skip
    with pytest.raises(RecipeError, match="2 packages have a thing 'mine'") as caught:
        THINGS.get("mine", OURS, "x")
    assert "first:mine" in caught.value.hint and "second:mine" in caught.value.hint
    with pytest.raises(RecipeError, match="2 packages have a thing 'ours'") as caught:
        THINGS.get("ours", OURS, "x")
    assert caught.value.hint == "name one of them: tesuji:ours, second:ours"
    point = THINGS.get("first:mine", OURS, "x")
    assert THINGS.load(point, "x").__name__ == "half"
    assert THINGS.get("tesuji:ours", OURS, "x") == "ours"
    assert THINGS.get("other", OURS, "x") == "other"


def test_what_does_not_load_is_one_message(add):
    add("first", "tesuji.things", mine="somebody:nothing")
    with pytest.raises(RecipeError, match=r"the thing 'mine' of somebody:nothing does not load"):
        THINGS.load(THINGS.get("mine", OURS, "x"), "x")


def test_a_game_with_a_name_of_ours(add):
    add("someones-games", "tesuji.games", nim="somebody:load")
    for ask in (load_game, game_info):
        with pytest.raises(GameError, match="2 packages have a game 'nim'") as caught:
            ask("nim")
        assert caught.value.hint == "name one of them: tesuji:nim, someones-games:nim"
    names = {info.name for info in list_games() if not info.unavailable}
    assert {"tesuji:nim", "someones-games:nim"} <= names and "nim" not in names
    theirs = load_game("someones-games:nim")
    assert theirs.name == "someones-games:nim" == game_info("someones-games:nim").name
    assert len(theirs.start(0).legal_moves(0) or ()) == 3
    ours = load_game("tesuji:nim")
    assert len(ours.start(0).legal_moves(0) or ()) == 16
    assert load_game(ours.name) == ours  # what its records say is known from here on
    assert load_game(theirs.name) == theirs
    assert load_game("tic_tac_toe") == load_game("tesuji:tic_tac_toe")


def test_a_player_with_a_name_of_ours(add):
    add("their-players", "tesuji.players", scripted="somebody:Last", eager="somebody:Last")
    assert {"tesuji:scripted", "their-players:scripted", "eager"} <= set(
        players.PLUGINS.names(players.BUILT_IN)
    )
    with pytest.raises(RecipeError, match="2 packages have a player 'scripted'"):
        make_player(parse_player("scripted"), game=TIC_TAC_TOE)
    theirs = make_player(parse_player("their-players:scripted"), game=TIC_TAC_TOE)
    assert (theirs.policy, theirs.name) == ("last", "their-players:scripted")
    ours = make_player(parse_player("tesuji:scripted:policy=first"), game=TIC_TAC_TOE)
    assert (ours.policy, ours.name) == ("first", "tesuji:scripted(policy=first)")
    again = make_player(parse_player("their-players:eager:policy=first"), game=TIC_TAC_TOE)
    assert again.policy == "first"
    with pytest.raises(TesujiError, match="tesuji:minimax cannot play kuhn_poker"):
        make_player(parse_player("tesuji:minimax"), game=load_game("kuhn_poker"))


def test_another_packages_failing_player_is_named_with_the_line_at_fault(add):
    add("their-players", "tesuji.players", bad="somebody:Bad", odd="somebody:half")
    player = make_player(parse_player("bad"), game=TIC_TAC_TOE)
    match = TIC_TAC_TOE.start(0)
    request = MoveRequest(TIC_TAC_TOE, match, 0, "", match.legal_moves(0), seed=0)
    with pytest.raises(EngineError, match="the player 'bad' of somebody:Bad failed: KeyError") as e:
        player.choose([request])
    assert "somebody.py:" in e.value.hint
    with pytest.raises(RecipeError, match="is no player"):
        make_player(parse_player("odd"), game=TIC_TAC_TOE)


def test_another_packages_failing_reward_is_named_with_the_line_at_fault(add):
    add("their-terms", "tesuji.rewards", boom="somebody:boom")
    with pytest.raises(EngineError, match="reward term boom failed: ZeroDivisionError") as caught:
        at = SimpleNamespace(turn=SimpleNamespace(attempts=(1,)))
        _value("boom", make_terms({"boom": RewardTerm(weight=1)}, no_game).terms["boom"][1], at)
    assert "somebody.py:" in caught.value.hint


def test_a_reward_with_a_name_of_ours(add):
    add("their-terms", "tesuji.rewards", legal="somebody:half", nice="somebody:half")
    assert {"tesuji:legal", "their-terms:legal", "nice"} <= set(
        rewards.PLUGINS.names(rewards.BUILT_IN)
    )
    with pytest.raises(RecipeError, match="2 packages have a reward term 'legal'") as caught:
        worth("legal")
    assert caught.value.where == "rewards.legal"
    assert worth("their-terms:legal") == 1.0 and worth("nice", scale=2.0) == 4.0
    weights = {"tesuji:tool_format": RewardTerm(weight=0.3), "tesuji:returns": RewardTerm(weight=1)}
    with pytest.raises(RecipeError, match="tool_format"):
        make_terms(weights, no_game)
