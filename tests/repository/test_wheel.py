"""What an installation carries: a wheel is built from a copy of the checkout and looked into."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from places import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built offline, with the setuptools that is installed."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for name in ("src", "recipes"):
        leave_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=leave_out)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--no-index", "-q", "-w", out, copy], check=True, timeout=300)
    return next(out.glob("tesuji-*.whl"))


def test_every_recipe_is_in_the_wheel_as_it_is_in_the_checkout(wheel):
    files = {path.relative_to(ROOT).as_posix(): path for path in ROOT.glob("recipes/**/*.yaml")}
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if name.startswith("tesuji/recipes/")}
        assert inside == {f"tesuji/{name}" for name in files}
        assert all(archive.read(f"tesuji/{name}") == files[name].read_bytes() for name in files)


def test_every_file_of_the_package_is_in_the_wheel(wheel):
    files = [path for path in (ROOT / "src" / "tesuji").rglob("*") if path.is_file()]
    kept = {path.relative_to(ROOT / "src").as_posix() for path in files if ".pyc" not in path.name}
    with zipfile.ZipFile(wheel) as archive:
        assert kept - set(archive.namelist()) == set()


def test_an_installed_tesuji_finds_its_recipes_by_name(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = (
        "from tesuji.recipe.reading.load import recipe_path; print(recipe_path('tictactoe/tiny'))"
    )
    python = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": str(tmp_path)}
    found = subprocess.run(
        python, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == str(tmp_path / "tesuji/recipes/tictactoe/tiny.yaml")
