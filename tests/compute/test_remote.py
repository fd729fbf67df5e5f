"""The other side: what is ordered is run, stopped in time, and gone on with."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_jobs import write_recipe

from tesuji.compute import remote
from tesuji.compute.job.package import make_package
from tesuji.compute.remote import EXIT, HEARTBEAT, LOG, STOP, Order, run_order, write_order
from tesuji.core.files import read_json, write_json
from tesuji.recipe.reading.load import load_recipe

LONG = 100_000  # steps: more than any test waits for


@pytest.fixture
def packed(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(steps: int, **order) -> Path:
        package = tmp_path / "package"
        make_package(load_recipe(write_recipe(tmp_path, steps=steps)), package, tmp_path)
        write_order(package, Order("job", "small", **order))
        return package

    return make


def _wait_for(condition, seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.1)


def _checkpoints(package: Path) -> list[Path]:
    return list(package.glob("runs/small/stages/*/checkpoint*"))


def test_a_run_that_ends_says_so_last(packed) -> None:
    package = packed(steps=2)
    beats = []
    ended = run_order(package, lambda: beats.append((package / EXIT).exists()))
    assert (ended["phase"], ended["exit_code"]) == ("done", 0)
    assert beats[0] is False and beats[-1] is True
    assert (package / "runs/small/report.html").exists()
    assert "all steps done" in (package / LOG).read_text()
    before = (package / LOG).read_text()
    assert run_order(package) == ended  # what has ended is not run again
    assert (package / LOG).read_text() == before


def test_a_run_that_fails_says_why_in_its_log(packed) -> None:
    package = packed(steps=2)
    (package / "rows.jsonl").unlink()
    ended = run_order(package)
    assert (ended["phase"], ended["exit_code"]) == ("failed", 2)
    assert "rows.jsonl" in (package / LOG).read_text()


@pytest.mark.parametrize("why", ["cost", "timeout"])
def test_it_stops_in_time_with_a_checkpoint(packed, why: str) -> None:
    package = packed(steps=LONG, most_seconds=3600, why=why)
    write_json(package / HEARTBEAT, {"started": time.time() - 3600 + 25, "at": 0})
    ended = run_order(package)
    assert ended["phase"] == "stopped" and remote.IN_WORDS[why] in ended["message"]
    assert _checkpoints(package)


def test_it_stops_when_it_is_asked_to(packed, monkeypatch) -> None:
    monkeypatch.setattr(remote, "BEATS", 0.2)
    package = packed(steps=LONG)

    def ask() -> None:
        if _checkpoints(package):
            (package / STOP).touch()

    ended = run_order(package, ask)
    assert ended["phase"] == "stopped" and "told to stop" in ended["message"]


def test_it_stops_where_ctrl_c_was_ignored_by_who_started_it(packed, monkeypatch) -> None:
    """As by a shell that put the ssh server, or the pod's own command, into the background."""
    monkeypatch.setattr(remote, "BEATS", 0.2)
    monkeypatch.setattr(remote, "PATIENCE", 20.0)
    package = packed(steps=LONG)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ended = run_order(package, lambda: _checkpoints(package) and (package / STOP).touch())
    finally:
        signal.signal(signal.SIGINT, before)
    assert (ended["phase"], ended["exit_code"]) == ("stopped", remote.INTERRUPTED)


def test_killed_it_leaves_no_second_run_and_goes_on(packed) -> None:
    package = packed(steps=400)
    command = [sys.executable, "-m", "tesuji.compute.remote", str(package)]
    first = subprocess.Popen(command)
    _wait_for(lambda: _checkpoints(package))
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert subprocess.run(command, check=False).returncode == 0
    assert read_json(package / EXIT)["phase"] == "done"
    said = (package / LOG).read_text()
    assert said.count("model   tiny") == 2 and "another process" not in said


def test_a_run_that_is_killed_is_told_as_such(packed, monkeypatch) -> None:
    package, begin = packed(steps=LONG), remote._start

    def killed(*arguments):
        child = begin(*arguments)
        child.kill()
        return child

    monkeypatch.setattr(remote, "_start", killed)
    ended = run_order(package)
    assert ended["phase"] == "failed" and "no memory left" in ended["message"]


@pytest.mark.parametrize("moment", ["before it begins", "while it loads"])
def test_a_stop_in_the_first_moments_is_one(packed, monkeypatch, moment: str) -> None:
    """A signal and a file `stop`, both, as by ssh; before the run itself listens."""
    package, begin = packed(steps=LONG), remote._start

    def told(*arguments):
        if moment == "before it begins":
            os.kill(os.getpid(), signal.SIGINT)
        child = begin(*arguments)
        if moment == "while it loads":
            os.kill(os.getpid(), signal.SIGTERM)
        (package / STOP).touch()
        return child

    monkeypatch.setattr(remote, "_start", told)
    ended = run_order(package)
    assert ended["phase"] == "stopped" and "told to stop" in ended["message"]
