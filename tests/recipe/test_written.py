"""A recipe of one's own is what the other one with changes is, and keeps its comments."""

from pathlib import Path

import pytest

from tesuji.cli.main import main
from tesuji.core.errors import RecipeError
from tesuji.recipe.questions import questions
from tesuji.recipe.reading.load import load_recipe, resolve
from tesuji.recipe.reading.shipped import shipped_recipes
from tesuji.recipe.reading.written import written

CHANGES = ["name=mine", "seed=9"]


@pytest.mark.parametrize("name", [recipe.name for recipe in shipped_recipes()])
def test_what_is_written_is_what_was_asked(name: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(written(name, CHANGES))
    assert resolve(file) == resolve(name, CHANGES)
    assert load_recipe(file) == load_recipe(name, CHANGES)


def test_comments_are_kept() -> None:
    text = written("tictactoe/tiny", ["stages.sft.max_steps=5", "evaluation.opponents=[random]"])
    assert "# every position, labelled by minimax" in text
    assert "max_steps: 5\n" in text and "600" not in text


def test_the_answers_of_a_recipe_as_it_is_change_nothing() -> None:
    for recipe in shipped_recipes():
        asked = [q for q in questions(recipe.name) if q.key != "game"]  # another game: no options
        same = [f"{question.key}={question.value}" for question in asked]
        assert load_recipe(recipe.name, same) == load_recipe(recipe.name), recipe.name


def test_init_writes_a_recipe_that_runs_as_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "tictactoe/tiny", "name=mine", "seed=9"]) == 0
    assert load_recipe("mine.yaml").seed == 9 and "tesuji run mine.yaml" in capsys.readouterr().out
    assert main(["init", "tictactoe/tiny", "name=mine"]) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["init", "tictactoe/tiny", "seed=none", "--out", "other.yaml"]) == 2
    assert not Path("other.yaml").exists()


def test_an_unknown_recipe_has_no_questions() -> None:
    with pytest.raises(RecipeError):
        questions("tictactoe/tinny")
