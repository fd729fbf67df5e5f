"""Runs that the pages start, and those of others; real ones are in test_run_real.py."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_jobs import write_recipe

from tesuji.core.errors import DataError, RecipeError
from tesuji.core.run_folder import RunFolder, at_work
from tesuji.serve.ui.house import House
from tesuji.serve.ui.runs.processes import LOG, STARTED, doing, resume, start, stop


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.chdir(tmp_path)  # the recipe names its rows from here
    monkeypatch.setenv("TESUJI_UI_KEY", "the-key-of-this-server")
    house = House(tmp_path / "runs")
    yield house
    for folder in house.runs.glob("*"):
        if (pid := doing(folder).ours) is not None:
            os.killpg(pid, signal.SIGKILL)


def test_a_process_of_somebody_else_is_left_alone(house: House) -> None:
    folder = house.runs / "theirs"
    with RunFolder(folder).locked():
        assert at_work([folder]) == {folder: os.getpid()}
        with pytest.raises(DataError, match="not started from these pages"):
            stop(folder)
        recipe = write_recipe(folder, "theirs")
        with pytest.raises(DataError, match="running already"):
            start(house, recipe)
    with pytest.raises(DataError, match="nobody is at work"):
        stop(folder)
    assert not (folder / LOG).exists()


@pytest.mark.parametrize("change", [{"ticks": 1}, {"boot": "another"}, {"pid": "1"}, {"pid": -1}])
def test_a_number_that_now_is_another_process_is_not_ours(
    house: House, tmp_path: Path, change: dict[str, object]
) -> None:
    folder = house.runs / "old"
    folder.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        right = {"pid": other.pid, **birth(other.pid)}
        (folder / STARTED).write_text(json.dumps(right))
        assert doing(folder).ours == other.pid
        (folder / STARTED).write_text(json.dumps(right | change))
        assert doing(folder).ours is None
        (folder / STARTED).write_text("[not json")
        assert doing(folder).ours is None
        (folder / STARTED).write_text(json.dumps(right))
        other.communicate(b"\n")
    assert doing(folder).ours is None


HOLDS = """
import fcntl, signal, sys, time
lock = open(sys.argv[1] + "/.lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("deaf", [False, True], ids=["hears-ctrl-c", "does-not"])
def test_what_one_started_may_be_stopped_though_another_holds_the_lock(
    house: House, deaf: bool
) -> None:
    folder = house.runs / "several"
    folder.mkdir(parents=True)
    ignore = "trap '' INT; " if deaf else ""  # as of what a shell starts in the background
    held = f"{ignore}{sys.executable} -c '{HOLDS}' {folder}; true"
    with subprocess.Popen(
        ["sh", "-c", held],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as launcher:
        assert launcher.stdout is not None and launcher.stdout.readline() == b"held\n"
        (folder / STARTED).write_text(json.dumps({"pid": launcher.pid, **birth(launcher.pid)}))
        now = doing(folder)
        assert now.ours == launcher.pid != now.holder and now.may_stop
        stop(folder)
        launcher.wait(20)
    end = time.monotonic() + 20  # the one that held the lock was told at the same moment
    while doing(folder).anybody and time.monotonic() < end:
        time.sleep(0.05)
    assert at_work([folder]) == {} and not doing(folder).anybody


def birth(pid: int) -> dict[str, object]:
    """What the kernel says of when a process began."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return {"ticks": int(fields[19]), "boot": boot}


def test_what_is_no_recipe_starts_nothing(house: House, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: ../../out\ngame: tic_tac_toe\n")
    with pytest.raises(RecipeError):
        start(house, bad)
    assert not house.runs.exists() and not (tmp_path.parent / "out").exists()


def test_a_run_whose_recipe_has_another_name_is_not_gone_on_with(house: House) -> None:
    folder = house.runs / "renamed"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    write_recipe(folder, "original").rename(folder / "recipe.yaml")
    with pytest.raises(DataError, match="called 'original'"):
        resume(house, "renamed")
    assert [path.name for path in house.runs.iterdir()] == ["renamed"]


def test_locks_are_looked_at_and_not_held(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with RunFolder(run).locked():
        pass
    assert at_work([run, tmp_path / "none"]) == {}
    with RunFolder(run).locked():
        for _ in range(50):
            assert at_work([run])
