"""docs/python.md: its session runs and prints what it says; `import tesuji` is light."""

import doctest
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

import tesuji

PAGE = ROOT / "docs" / "python.md"


def test_the_session_on_the_page_runs_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_MODE")  # of which transformers prints a line when it is loaded
    lines = PAGE.read_text(encoding="utf-8").replace("```", "\n```").splitlines()
    text = "\n".join("" if line.startswith("```") else line for line in lines)
    session = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    failed, tried = runner.run(session, out=report.append)
    assert failed == 0, "".join(report)
    assert tried > 20


def test_the_page_names_every_function_there_is():
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"| `{name}(" in text for name in tesuji.__all__)
    assert set(tesuji.__all__) <= set(dir(tesuji))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        tesuji.train  # noqa: B018


def test_the_players_move_on_by_a_seat_and_share_their_luck():
    game = tesuji.load_game("kuhn_poker")
    episodes = tesuji.play_matches(game, ["random", "random"], episodes=6, seed=3)
    assert [e.players for e in episodes[:2]] == [("random", "random 2"), ("random 2", "random")]
    seeds = [e.seed for e in episodes]
    assert seeds[0::2] == seeds[1::2] and len(set(seeds)) == 3
    assert episodes == tesuji.play_matches(game, ["random", "random"], episodes=6, seed=3)


def test_as_many_players_as_seats():
    from tesuji.core.errors import GameError

    with pytest.raises(GameError, match="2 seats, not 1"):
        tesuji.play_matches(tesuji.load_game("tic_tac_toe"), ["random"])


def test_a_loaded_recipe_takes_no_overrides(tmp_path: Path):
    recipe = tesuji.load_recipe("tictactoe/tiny")
    with pytest.raises(ValueError, match="load_recipe"):
        tesuji.run(recipe, ["seed=2"], runs=tmp_path)


@pytest.mark.parametrize("code", ["import tesuji", "import tesuji; tesuji.make_player"])
def test_torch_is_not_loaded_for_what_needs_no_model(code: str):
    check = f"{code}; import sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_the_import_itself_loads_no_other_module():
    check = "import sys; old = set(sys.modules); import tesuji; print(*set(sys.modules) - old)"
    done = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["tesuji"]
