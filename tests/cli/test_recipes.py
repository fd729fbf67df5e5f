"""`tesuji recipes`: listed, shown as they are written, copied, and their schema."""

import json

import pytest
from places import RECIPES

from tesuji.cli.browse.recipes import standalone
from tesuji.cli.main import main
from tesuji.recipe.reading.load import load_recipe


def test_recipes_are_listed_and_shown_as_written(capsys):
    assert main(["recipes"]) == 0
    assert "tictactoe/tiny" in capsys.readouterr().out
    assert main(["recipes", "show", "tictactoe/tiny"]) == 0
    shipped = RECIPES / "tictactoe" / "tiny.yaml"
    assert capsys.readouterr().out == shipped.read_text(encoding="utf-8")


def test_a_copied_recipe_loads_and_is_not_overwritten(tmp_path, capsys):
    assert main(["recipes", "copy", "tictactoe/tiny", str(tmp_path)]) == 0
    copied = tmp_path / "tiny.yaml"
    shipped = load_recipe("tictactoe/tiny")
    assert load_recipe(copied) == shipped.model_copy(update={"name": "tiny"}), "a run of its own"
    assert "# " in copied.read_text(), "what it explains is kept"
    copied.write_text("mine")
    assert main(["recipes", "copy", "tictactoe/tiny", str(copied)]) == 2
    assert "--force" in capsys.readouterr().err
    assert copied.read_text() == "mine"
    assert main(["recipes", "copy", "tictactoe/tiny", str(copied), "--force"]) == 0
    assert copied.read_text() != "mine"


def test_a_copy_does_not_depend_on_the_files_it_includes(tmp_path):
    (tmp_path / "base.yaml").write_text("name: a\ngame: tic_tac_toe\nstages: {data: }\n")
    source = tmp_path / "mine.yaml"
    source.write_text("include: base.yaml\nseed: 7\n")
    copied = tmp_path / "elsewhere" / "mine.yaml"
    copied.parent.mkdir()
    copied.write_text(standalone(source))
    assert load_recipe(copied) == load_recipe(source)


@pytest.mark.parametrize(
    ("file", "name"),
    [("my-run.yaml", "my-run"), ("my run (2).yaml", "my-run-2-"), ("007.yaml", "007"),
     ("1e5.yaml", "1e5"), ("手筋.yaml", "mine"), ("..a.yaml", "a")],
)  # fmt: skip
@pytest.mark.parametrize("recipe", ["tictactoe/tiny", "mafia/tiny", "openspiel/ppo-lora-16gb"])
def test_a_copy_is_called_like_its_file(tmp_path, file, name, recipe, capsys):
    assert main(["recipes", "copy", recipe, str(tmp_path / file)]) == 0
    assert load_recipe(tmp_path / file).name == name
    capsys.readouterr()


def test_the_schema_is_printed_as_json(capsys):
    assert main(["recipes", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Recipe"
