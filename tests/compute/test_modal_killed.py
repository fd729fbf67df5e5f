"""The laptop is killed with -9 in the midst of `tesuji launch --on modal`: `tesuji jobs attach`
goes on with the same call, brings the results, and leaves nothing that costs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from grpclib import Status
from modal_server import ModalServer, can_run, served_modal
from tiny_jobs import write_recipe

from tesuji.compute.job.folder import JobFolder, all_jobs

pytestmark = [
    pytest.mark.machines,
    pytest.mark.skipif(not can_run(), reason="no mounts of one's own on this machine"),
]
STEPS = 40


@pytest.fixture
def server() -> Iterator[ModalServer]:
    with served_modal() as found:
        yield found
        assert found.unimplemented == []


def tesuji(folder: Path, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tesuji", *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def launch(folder: Path) -> "subprocess.Popen[str]":
    write_recipe(folder, steps=STEPS)
    return tesuji(folder, "launch", "small.yaml", "--on", "modal", "--gpu", "T4")


def kill_when(condition: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def the_job(folder: Path) -> JobFolder | None:
    return next(iter(all_jobs(folder / "jobs")), None)


def is_whole(folder: Path) -> bool:
    return (job := the_job(folder)) is not None and job.state.whole


MOMENTS: dict[str, Callable[[Path, ModalServer], object]] = {
    "while running": lambda folder, server: list(
        server.folder.glob("volumes/*/*/runs/*/stages/*/checkpoints/*/checksums.json")
    ),
    "while fetching": lambda folder, server: (folder / "runs" / "small" / "base").exists(),
    "before it is given back": lambda folder, server: is_whole(folder),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_attach_goes_on_after_a_kill(tmp_path: Path, server: ModalServer, moment: str) -> None:
    if moment == "before it is given back":
        server.faults.answers["AppStop"] = [Status.UNAVAILABLE] * 100
    kill_when(lambda: MOMENTS[moment](tmp_path, server), launch(tmp_path))
    server.faults.answers.clear()
    attached = tesuji(tmp_path, "jobs", "attach")
    said, _ = attached.communicate(timeout=240)
    assert attached.returncode == 0 and "cannot be" not in said, said
    job = the_job(tmp_path)
    assert job is not None and job.state.phase == "done" and job.state.released
    assert (tmp_path / "runs" / "small" / "report.html").exists()
    assert "all steps done" in job.log.read_text()
    assert len(server.world.calls) == 1 and server.running() == []


def test_a_launch_that_died_while_it_packed_has_begun_nothing(
    tmp_path: Path, server: ModalServer
) -> None:
    kill_when(lambda: list(tmp_path.glob("jobs/.*.half")), launch(tmp_path))
    assert the_job(tmp_path) is None
    attached = tesuji(tmp_path, "jobs", "attach")
    said, _ = attached.communicate(timeout=60)
    assert attached.returncode == 2 and "cut short while it packed" in said
    assert server.world.calls == {} and server.world.apps == {}
    again = launch(tmp_path)
    assert again.wait(120) == 0
    assert len(server.world.calls) == 1 and server.running() == []
