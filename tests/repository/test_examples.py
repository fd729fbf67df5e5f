"""The example packages: somebody else's game, players and reward, found by their entry points."""

import re
import tomllib
from pathlib import Path

import pytest
from other_packages import install
from places import ROOT
from typer.testing import CliRunner

from tesuji.cli.games import app
from tesuji.core.errors import GameError, IllegalMove
from tesuji.core.types import Ending, Move, Task
from tesuji.episodes.arena import play_matches
from tesuji.episodes.rewards.total import BUILT_IN, PLUGINS, make_terms
from tesuji.evaluation.matches.certificate import certify
from tesuji.games.base import Game
from tesuji.games.catalogue import game_info, list_games, load_game
from tesuji.pipeline.run import run_recipe
from tesuji.players.base import MoveRequest, Player
from tesuji.players.registry import make_player, parse_player, players_of
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.schema.play import RewardTerm

EXAMPLE = ROOT / "examples" / "my_game"
PAGE = ROOT / "docs" / "write-your-own-game.md"
PLAYER_PAGE = ROOT / "docs" / "write-your-own-player.md"
REWARD_PAGE = ROOT / "docs" / "write-your-own-reward.md"


def add(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example package as pip leaves it."""
    source = ROOT / "examples" / name
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    code = (source / f"{name}.py").read_text()
    install(folder / name, project["name"], name, code, project["entry-points"], monkeypatch)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add("my_game", tmp_path, monkeypatch)


@pytest.fixture
def players(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add("my_player", tmp_path, monkeypatch)


def test_it_is_a_short_package() -> None:
    lines = [
        line
        for name in ("my_game.py", "pyproject.toml")
        for line in (EXAMPLE / name).read_text().splitlines()
    ]
    assert len(lines) < 100
    assert len((EXAMPLE / "README.md").read_text().splitlines()) < 15


@pytest.mark.usefixtures("installed")
def test_the_game_is_listed_and_shown() -> None:
    assert game_info("race_to_21").family == "my-game"
    assert "race_to_21" in {info.name for info in list_games() if not info.unavailable}
    shown = CliRunner().invoke(app, ["show", "race_to_21"])
    assert shown.exit_code == 0 and "Who reaches 21 wins" in shown.output


@pytest.mark.usefixtures("installed")
def test_the_game_keeps_its_rules() -> None:
    game = load_game("race_to_21", {"target": 5})
    match = game.start(0)
    match.play(0, Move(3, "add 3"))
    assert match.to_act == (1,) and [m.id for m in match.legal_moves(1) or ()] == [1, 2]
    with pytest.raises(IllegalMove):
        match.play(1, Move(3, "add 3"))
    copy = match.clone()
    copy.play(1, Move(2, "add 2"))
    assert copy.returns() == (-1.0, 1.0) and copy.to_act == () and match.returns() == (0.0, 0.0)
    match.forfeit(1)
    assert match.returns() == (1.0, -1.0)
    for wrong in ({"goal": 3}, {"target": "21"}, {"target": 0}):
        with pytest.raises(GameError, match="whole number"):
            load_game("race_to_21", wrong)


@pytest.mark.usefixtures("installed")
def test_the_arena_plays_it() -> None:
    game = load_game("race_to_21")
    players = {
        "random": make_player(parse_player("random"), game=game),
        "first": make_player(parse_player("scripted"), game=game),
    }
    tasks = [Task(game.name, seed, ("random", "first")) for seed in range(20)]
    for episode in play_matches(tasks, game=game, players=players):
        assert episode.ending is Ending.FINISHED and sum(episode.returns) == 0


@pytest.mark.usefixtures("installed")
def test_its_recipe_trains_on_it(tmp_path: Path) -> None:
    recipe = load_recipe(
        str(EXAMPLE / "recipe.yaml"),
        ["stages.grpo.max_steps=2", "stages.grpo.batch_size=16", "evaluation.episodes=4"],
    )
    outcome = run_recipe(recipe, tmp_path / "runs")
    assert outcome.after is not None and outcome.after.game == "race_to_21"


def series(game: Game, one: Player, other: Player, matches: int = 20) -> list[float]:
    """What the first player gets, in the first seat and in the second by turns."""
    seats = [("one", "other"), ("other", "one")] * (matches // 2)
    tasks = [Task(game.name, seed, labels) for seed, labels in enumerate(seats)]
    episodes = [*play_matches(tasks, game=game, players={"one": one, "other": other})]
    assert all(episode.ending is Ending.FINISHED for episode in episodes)
    return [episode.returns[episode.players.index("one")] for episode in episodes]


@pytest.mark.usefixtures("installed", "players")
@pytest.mark.parametrize("name", ["tic_tac_toe", "race_to_21"])
def test_the_searches_play_games_of_ours_and_of_other_packages(name: str) -> None:
    game = load_game(name)
    assert players_of(game.info)[-2:] == ("open_minimax", "open_mcts")
    best, tree, weak = (
        make_player(parse_player(text), game=game)
        for text in ("open_minimax", "open_mcts:simulations=100", "random")
    )
    assert min(series(game, best, weak)) >= 0
    assert sum(series(game, tree, weak)) >= 14
    assert sum(series(game, best, best, matches=2)) == 0
    if name == "race_to_21":
        assert series(game, best, best, matches=2) == [1.0, -1.0]  # 21 is no multiple of 4


@pytest.mark.usefixtures("installed", "players")
def test_the_searches_do_not_depend_on_the_batch_and_refuse_what_is_hidden() -> None:
    game = load_game("race_to_21")
    tree = make_player(parse_player("open_mcts:simulations=20"), game=game)
    match = game.start(0)
    asked = [
        MoveRequest(game, match, 0, match.observe(0), match.legal_moves(0), seed=seed)
        for seed in range(8)
    ]
    assert tree.choose(asked) == [tree.choose([one])[0] for one in asked]
    with pytest.raises(GameError, match="open_mcts cannot play kuhn_poker: it needs two seats"):
        make_player(parse_player("open_mcts"), game=load_game("kuhn_poker"))


@pytest.mark.usefixtures("installed", "players")
def test_the_game_claims_a_certificate_and_gets_one() -> None:
    game = load_game("race_to_21", {"target": 9})
    assert "certificate" in game.info.metrics
    best, weak = (make_player(parse_player(n), game=game) for n in ("open_minimax", "scripted"))
    first, second = certify(game, best)
    assert first.losses == 0 < first.lines and second.losses > 0  # 9 is won by the first seat
    assert certify(game, weak)[0].losses > 0


def test_the_reward_of_the_page_is_a_reward(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, code = re.findall(r"```(?:python|toml)\n(.*?)```", REWARD_PAGE.read_text("utf-8"), re.S)
    entries = tomllib.loads(entry)["project"]["entry-points"]
    install(tmp_path, "my-rewards", "my_rewards", code, entries, monkeypatch)
    game = load_game("tic_tac_toe")
    scripted = make_player(parse_player("scripted"), game=game)
    [episode] = play_matches(
        [Task("tic_tac_toe", 0, ("it", "it"))], game=game, players={"it": scripted}
    )
    section = RewardTerm(weight=1.0, limit=10)
    for name in ("brevity", "my-rewards:brevity"):
        rewards = make_terms({name: section}, lambda _: game)
        assert set(rewards(episode, 0).total) == {0.4}  # x(0,0): six characters of ten
    assert "brevity" in PLUGINS.names(BUILT_IN)


@pytest.mark.parametrize(
    ("name", "page", "most"), [("my_game", PAGE, 4), ("my_player", PLAYER_PAGE, 4)]
)
def test_the_page_shows_the_code_as_it_is(name: str, page: Path, most: int) -> None:
    folder = ROOT / "examples" / name
    code = (folder / f"{name}.py").read_text() + (folder / "pyproject.toml").read_text()
    lines = {line.strip() for line in code.splitlines()}
    blocks = re.findall(r"```(?:python|toml)\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    assert len(blocks) >= most
    for line in "".join(blocks).splitlines():
        assert not line.strip() or line.strip() in lines, line
