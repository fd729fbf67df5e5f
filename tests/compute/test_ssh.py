"""A machine that one has: files whole or absent over lines that break, and jobs started once.

The machine is a real ssh server on this one (`support/ssh_server.py`), the client is the system's.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from poker_jobs import CHANGES, RECIPE, weights
from ssh_server import Running, new_key, ssh_machine
from tiny_jobs import write_recipe

from tesuji.cli.main import main
from tesuji.compute.base import Wish
from tesuji.compute.follow import Pace, end, follow
from tesuji.compute.job.folder import JobFolder, all_jobs
from tesuji.compute.launch import Folders, prepare, start
from tesuji.compute.registry import machine_for
from tesuji.compute.ssh.address import Address, parse
from tesuji.compute.ssh.transport import Ssh
from tesuji.core.errors import ComputeError
from tesuji.core.files import read_json
from tesuji.recipe.reading.load import load_recipe

QUICK = Pace(look=0.2, fetch=1.0, grace=60.0, tries=2)
PYTHON = {"python": sys.executable}


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    with ssh_machine(tmp_path / "there") as running:
        monkeypatch.setenv("TESUJI_SSH_CONFIG", str(running.config))
        monkeypatch.chdir(tmp_path)
        yield running


@pytest.fixture
def ssh(there: Running) -> Ssh:
    return Ssh(parse(there.host), patience=8)


def make_job(folder: Path, recipe, on: str = "ssh:stand-in", **options: str) -> JobFolder:
    wish = Wish(on, options={**PYTHON, **options})
    folders = Folders(folder / "jobs", folder / "runs", folder)
    return prepare(recipe, wish, machine_for(on), folders)


def until(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


def test_addresses_are_read_as_ssh_has_them() -> None:
    assert parse("me@box.example") == Address("box.example", "me")
    assert parse("me@10.0.0.7:2222") == Address("10.0.0.7", "me", 2222)
    assert parse("box") == Address("box")
    assert parse("me@[fe80::1]:22") == Address("fe80::1", "me", 22)
    for wrong in ("", "-oProxyCommand=x", "a b", "me@", "me@box:port"):
        with pytest.raises(ComputeError, match="no machine to reach"):
            parse(wrong)


def test_only_what_is_missing_goes_and_comes(ssh: Ssh, tmp_path: Path) -> None:
    here = tmp_path / "here"
    (here / "deep").mkdir(parents=True)
    (here / "deep" / "größe 1.bin").write_bytes(os.urandom(300_000))
    (here / "one.txt").write_text("one")
    assert (ssh.push(here, "a/b"), ssh.push(here, "a/b")) == (2, 0)
    (here / "one.txt").write_text("two")  # the size is the same
    assert ssh.push(here, "a/b") == 1
    back = tmp_path / "back"
    assert (ssh.pull("a/b", back), ssh.pull("a/b", back)) == (2, 0)
    (back / "one.txt").write_text("bad")
    assert ssh.pull("a/b", back, check=True) == 1
    assert (back / "deep" / "größe 1.bin").read_bytes() == (
        here / "deep" / "größe 1.bin"
    ).read_bytes()
    assert (back / "one.txt").read_text() == "two"


@pytest.mark.machines
def test_a_line_that_breaks_in_a_file_is_taken_up_and_no_file_is_half(
    there: Running, ssh: Ssh, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for number in range(3):
        (here / f"{number}.bin").write_bytes(os.urandom(6_000_000))
    breaking = _breaking(there, lambda: (there.home / "a" / "0.bin").exists())
    ssh.push(here, "a")
    breaking.join()
    assert all((there.home / "a" / f.name).read_bytes() == f.read_bytes() for f in here.iterdir())
    back = tmp_path / "back"
    breaking = _breaking(there, lambda: (back / "0.bin").exists())
    ssh.pull("a", back)
    breaking.join()
    assert all((back / f.name).read_bytes() == f.read_bytes() for f in here.iterdir())
    assert not [path for path in back.iterdir() if path.name.endswith(".half")]


def _breaking(there: Running, when) -> threading.Thread:
    def work() -> None:
        until(when)
        there.cut()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_host_that_is_not_there_is_told_once(there: Running) -> None:
    gone = Ssh(Address("127.0.0.1", "me", 1), patience=1)
    with pytest.raises(ComputeError, match="cannot be reached by ssh") as told:
        gone.ask("probe", "x")
    assert "goes on where this one stopped" in str(told.value)


BREAKS_LATE = """\
#!/bin/sh
[ -e "$0.broke" ] && echo '{"python": [3, 11]}' && exit 0
touch "$0.broke"; sleep 1.5; exit 255
"""


def test_a_line_that_held_longer_than_the_patience_is_tried_again(tmp_path, monkeypatch) -> None:
    program = tmp_path / "ssh"
    program.write_text(BREAKS_LATE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert Ssh(Address("box"), patience=1).ask("probe", "x") == {"python": [3, 11]}


def test_a_key_that_is_refused_is_told_at_once(there: Running, tmp_path: Path) -> None:
    other = new_key(tmp_path / "other")
    Path(there.machine.folder, "authorized_keys").write_text(other)
    there.restart()
    began = time.monotonic()
    with pytest.raises(ComputeError, match=r"(?i)permission denied"):
        Ssh(parse(there.host), patience=60).ask("probe", "x")
    assert time.monotonic() - began < 20


def test_a_machine_is_refused_before_anything_is_made(there: Running, tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path))
    with pytest.raises(ComputeError, match=r"there is no python9\.9 on that machine"):
        make_job(tmp_path, recipe, python="python9.9")
    with pytest.raises(ComputeError, match=r"no setting 'pyton'(.|\n)*did you mean python"):
        make_job(tmp_path, recipe, pyton="x")
    machine = machine_for("ssh:stand-in")
    with pytest.raises(ComputeError, match="it has no 2 x H100"):
        machine.check(Wish("ssh:stand-in", gpu="H100", count=2, options=PYTHON))
    with pytest.raises(ComputeError, match="are asked for"):
        machine.check(Wish("ssh:stand-in", disk_gb=1e6, options=PYTHON))
    assert all_jobs(tmp_path / "jobs") == [] and list(there.home.iterdir()) == []


@pytest.mark.slow
def test_a_poker_job_comes_to_the_same_as_here(
    there: Running, tmp_path: Path, poker_here: Path
) -> None:
    job = make_job(tmp_path, load_recipe(RECIPE, CHANGES))
    machine = machine_for("ssh:stand-in")
    said: list[str] = []
    start(job, machine, {"HF_TOKEN": "hf_nosuchtokenasthisone"})
    start(job, machine, {})  # a second time: nothing more
    first = there.jobs()
    status = follow(job, machine, said.append, pace=QUICK)
    run = tmp_path / "runs" / "poker-short"
    assert (status.phase, status.exit_code) == ("done", 0), said
    assert weights(run) == weights(poker_here) and len(weights(run)) == 4
    assert (run / "report.html").exists() and (run / "ppo").is_symlink()
    assert any("all steps done" in line for line in said)
    assert first and job.state.released
    until(lambda: not set(first) & set(there.jobs()))  # the job's; looks may hang there longer
    kept = [*job.path.rglob("*"), *there.home.rglob("*"), *run.rglob("*")]
    assert not [f for f in kept if f.is_file() and b"nosuchtoken" in f.read_bytes()]


def test_an_interrupted_job_stops_with_its_results(there: Running, tmp_path: Path) -> None:
    job = make_job(tmp_path, load_recipe(write_recipe(tmp_path, steps=100_000)))
    machine = machine_for("ssh:stand-in")
    start(job, machine, {})
    there_run = there.home / "tesuji-jobs" / job.id / "runs" / "small"
    until(lambda: list(there_run.glob("stages/*/checkpoints/*/*")))
    status = end(job, machine, lambda text: None, QUICK, ask=True)
    assert status.phase == "stopped" and there.jobs() == []
    assert list((tmp_path / "runs" / "small").glob("stages/*/checkpoints/*/*"))


def test_a_job_whose_processes_are_gone_is_lost_and_told(there: Running, tmp_path: Path) -> None:
    job = make_job(tmp_path, load_recipe(write_recipe(tmp_path, steps=100_000)))
    machine = machine_for("ssh:stand-in")
    start(job, machine, {})
    for pid in there.jobs():
        os.kill(pid, signal.SIGKILL)
    status = follow(job, machine, lambda text: None, pace=QUICK)
    assert status.phase == "lost" and "without a word" in status.message


def test_a_job_that_cannot_start_says_why(there: Running, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    job = make_job(tmp_path, load_recipe(write_recipe(tmp_path)), python=str(bare / "bin/python"))
    with pytest.raises(ComputeError, match="No module named"):
        start(job, machine_for("ssh:stand-in"), {})
    assert job.state.phase == "failed" and job.state.released


@pytest.mark.machines
def test_a_sweep_runs_there_and_is_compared_here(there: Running, tmp_path: Path, capsys) -> None:
    recipe = str(write_recipe(tmp_path))
    words = ["sweep", recipe, "seed=1,2", "--on", "ssh:stand-in", "--parallel", "2"]
    assert main([*words, "--option", f"python={sys.executable}"]) == 0
    folder = tmp_path / "runs/small-sweep"
    assert (folder / "comparison.html").exists()
    assert {job.job.run for job in all_jobs(tmp_path / "jobs")} == {"seed-1", "seed-2"}
    assert all(job.state.released for job in all_jobs(tmp_path / "jobs"))
    for run in ("seed-1", "seed-2"):
        assert read_json(folder / run / "job.json")["on"] == "ssh:stand-in"
