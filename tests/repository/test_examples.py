"""The example package: somebody else's game, found by its entry point, played and trained on."""

import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
from places import ROOT
from typer.testing import CliRunner

from tesuji.cli.games import app
from tesuji.core.errors import GameError, IllegalMove
from tesuji.core.types import Ending, Move, Task
from tesuji.episodes.arena import play_matches
from tesuji.games.catalogue import game_info, list_games, load_game
from tesuji.pipeline.run import run_recipe
from tesuji.players.registry import make_player, parse_player
from tesuji.recipe.reading.load import load_recipe

EXAMPLE = ROOT / "examples" / "my_game"
PAGE = ROOT / "docs" / "write-your-own-game.md"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package as pip leaves it: its module beside what its pyproject says about it."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    shutil.copy(EXAMPLE / "my_game.py", tmp_path)
    meta = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    meta.mkdir()
    about = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (meta / "METADATA").write_text(about)
    points = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (meta / "entry_points.txt").write_text("\n".join(points))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_game", raising=False)


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


def test_the_page_shows_the_code_as_it_is() -> None:
    code = (EXAMPLE / "my_game.py").read_text() + (EXAMPLE / "pyproject.toml").read_text()
    lines = {line.strip() for line in code.splitlines()}
    blocks = re.findall(r"```(?:python|toml)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert len(blocks) >= 4
    for line in "".join(blocks).splitlines():
        assert not line.strip() or line.strip() in lines, line
