"""What an installation carries: a wheel is built from a copy of the checkout and looked into."""

import shutil
import subprocess
import sys
import sysconfig
import venv
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


@pytest.fixture
def elsewhere(wheel, tmp_path) -> Path:
    """The scripts of an environment that has Tesuji from the wheel, and its dependencies from
    here: a line of a .pth file adds a folder, but not what that folder's own .pth files add, so
    that the checkout stays out of sight."""
    environment = tmp_path / "environment"
    venv.create(environment)
    [packages] = environment.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "-q", "--python", python, "install", "--no-deps"]
    subprocess.run([*pip, "--no-index", "--ignore-installed", wheel], check=True, timeout=300)
    return python.parent


@pytest.mark.slow
def test_an_installed_tesuji_runs_a_recipe_by_name_in_an_empty_folder(elsewhere, tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    few = [
        "stages.sft.max_steps=3",
        "stages.sft.warmup_steps=0",
        "evaluation.episodes=2",
        "evaluation.positions=5",
    ]
    few += ["evaluation.opponents=[random]", "evaluation.certificate=false"]
    run = [elsewhere / "tesuji", "run", "tictactoe/tiny", *few]
    subprocess.run(run, cwd=folder, check=True, timeout=300)
    assert (folder / "runs" / "tictactoe-tiny" / "report.html").stat().st_size > 10_000
    where = [elsewhere / "python", "-c", "import tesuji; print(tesuji.__file__)"]
    file = subprocess.run(where, cwd=folder, check=True, capture_output=True, text=True).stdout
    assert Path(file.strip()).is_relative_to(elsewhere.parent)
