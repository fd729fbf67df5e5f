"""What is shipped: the same recipe, its files, this very code, and no secret."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tiny_jobs import write_recipe

from tesuji.compute.job.package import constraints, inputs, make_package
from tesuji.core.errors import RecipeError
from tesuji.recipe.reading.load import load_recipe


@pytest.fixture
def here(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_lies_below_keeps_its_path_and_the_recipe_is_the_same(here: Path) -> None:
    recipe = load_recipe(write_recipe(here, data="rows/a.jsonl"))
    make_package(recipe, here / "package", here)
    assert (here / "package/rows/a.jsonl").read_bytes() == (here / "rows/a.jsonl").read_bytes()
    assert load_recipe(here / "package/recipe.yaml") == recipe


def test_what_lies_elsewhere_gets_a_place_in_the_package(here: Path) -> None:
    outside = here / "elsewhere"
    inside = here / "project"
    inside.mkdir()
    source = write_recipe(outside)
    recipe = load_recipe(source, [f"stages.sft.data={outside / 'rows.jsonl'}"])
    make_package(recipe, inside / "package", inside)
    shipped = load_recipe(inside / "package/recipe.yaml")
    place = shipped.stages["sft"].data
    assert place is not None and not Path(place).is_absolute()
    assert (inside / "package" / place).read_bytes() == (outside / "rows.jsonl").read_bytes()


def test_a_file_with_secrets_is_never_shipped(here: Path) -> None:
    source = write_recipe(here)
    (here / "logs").mkdir()
    (here / "logs/.env").write_text("HF_TOKEN=hf_abcdefghijklmnopqrstuvwxyz\n")
    (here / "logs/a.jsonl").write_text((here / "rows.jsonl").read_text())
    with pytest.raises(RecipeError, match="never shipped"):
        make_package(load_recipe(source, ["stages.sft.data=logs/.env"]), here / "package", here)
    make_package(load_recipe(source, ["stages.sft.data=logs"]), here / "package", here)
    assert not list((here / "package").rglob(".env"))


def test_names_that_are_no_files_are_left_alone(here: Path) -> None:
    (here / "random").mkdir()  # the opponent's name, and a folder by chance
    assert inputs(load_recipe(write_recipe(here))) == [Path("rows.jsonl")]


def test_the_wheel_is_what_is_imported_here_and_equal_each_time(here: Path) -> None:
    recipe = load_recipe(write_recipe(here))
    first = make_package(recipe, here / "one", here)
    assert make_package(recipe, here / "two", here)["code"] == first["code"]
    names = zipfile.ZipFile(here / "one" / first["wheel"]).namelist()
    assert "tesuji/cli/main.py" in names and "tesuji/recipes/tictactoe/tiny.yaml" in names


def test_pip_installs_the_wheel(here: Path) -> None:
    versions = make_package(load_recipe(write_recipe(here)), here / "package", here)
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    target = ["--target", str(here / "there"), str(here / "package" / versions["wheel"])]
    subprocess.run([*install, *target], check=True, capture_output=True)
    told = subprocess.run(
        [sys.executable, "-P", "-c", "import tesuji; print(tesuji.__file__)"],
        env={"PYTHONPATH": str(here / "there"), "PATH": ""},
        check=True,
        capture_output=True,
        text=True,
    )
    assert told.stdout.startswith(str(here / "there"))


def test_versions_are_pinned_without_what_only_this_machine_has() -> None:
    pinned = constraints()
    assert any(line.startswith("torch==") for line in pinned)
    assert not any("+" in line or line.startswith("tesuji=") for line in pinned)
