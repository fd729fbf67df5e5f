"""The laptop is killed with -9 in the midst of `tesuji launch --on runpod`: `tesuji jobs attach`
goes on with the same pod, brings the results, and leaves nothing that costs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from runpod_server.server import KEY, Fault, RunPod, runpod
from tiny_jobs import write_recipe

from tesuji.compute.job.folder import JobFolder, all_jobs

STEPS = 40


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunPod]:
    with runpod(tmp_path / "pods") as running:
        running.wait = 0.2
        yield running


def tesuji(folder: Path, service: RunPod, *words: str) -> "subprocess.Popen[str]":
    keys = {"RUNPOD_API_KEY": KEY, "TESUJI_RUNPOD_URL": service.url, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "tesuji", *words],
        cwd=folder,
        env={**os.environ, **keys, "TESUJI_CACHE": str(folder / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def launch(folder: Path, service: RunPod) -> "subprocess.Popen[str]":
    write_recipe(folder, steps=STEPS)
    options = ["--option", f"python={sys.executable}", "--option", f"mount={folder}/workspace"]
    words = ["launch", "small.yaml", "--on", "runpod", "--gpu", "NVIDIA A40", *options]
    return tesuji(folder, service, *words)


def until(condition: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.002)


def kill(process: "subprocess.Popen[str]") -> None:
    os.killpg(process.pid, signal.SIGKILL)  # its `ssh`, too: the laptop is gone
    process.wait()


def the_job(folder: Path) -> JobFolder | None:
    return next(iter(all_jobs(folder / "jobs")), None)


def is_whole(folder: Path) -> bool:
    return (job := the_job(folder)) is not None and job.state.whole


def below(folder: Path, pattern: str) -> bool:
    return any((folder / "workspace").glob(f"tesuji-jobs/*/{pattern}"))


MOMENTS: dict[str, Callable[[Path, RunPod], object]] = {
    "before create is answered": lambda folder, service: service.made,
    "after create": lambda folder, service: (
        (job := the_job(folder)) and job.state.handle.get("pod")
    ),
    "while shipping": lambda folder, service: below(folder, "constraints.txt"),
    "while running": lambda folder, service: below(folder, "runs/small/stages/*/checkpoints/*/*"),
    "while fetching": lambda folder, service: (folder / "runs" / "small" / "base").exists(),
}


@pytest.mark.machines
@pytest.mark.parametrize("moment", MOMENTS)
def test_attach_goes_on_after_a_kill(tmp_path: Path, service: RunPod, moment: str) -> None:
    process = launch(tmp_path, service)
    until(lambda: MOMENTS[moment](tmp_path, service), process)
    kill(process)
    assert_comes_home(tmp_path, service)


def assert_comes_home(folder: Path, service: RunPod) -> str:
    """`tesuji jobs attach` ends well, with the results of the one pod, which is no more."""
    attached = tesuji(folder, service, "jobs", "attach")
    said, _ = attached.communicate(timeout=240)
    assert attached.returncode == 0, said
    job = the_job(folder)
    assert job is not None and job.state.phase == "done" and job.state.released
    assert (folder / "runs" / "small" / "report.html").exists()
    assert "all steps done" in job.log.read_text()
    assert service.made == 1 and service.costing() == []
    return said


@pytest.mark.machines
@pytest.mark.parametrize("pod", ["gone", "there"])
def test_results_that_are_whole_here_are_not_asked_for_again(
    tmp_path: Path, service: RunPod, pod: str
) -> None:
    """Killed between the last fetch and the giving back of the pod, which may have ended itself."""
    held = Fault("DELETE .*", 503, "not now", times=1000)
    service.faults.append(held)
    process = launch(tmp_path, service)
    until(lambda: below(tmp_path, "home") if pod == "gone" else is_whole(tmp_path), process)
    kill(process)
    held.times = 0
    if pod == "gone":
        deadline = time.monotonic() + 30
        while service.costing():
            assert time.monotonic() < deadline, "it did not end itself"
            time.sleep(0.1)
    began = time.monotonic()
    assert "cannot be fetched" not in assert_comes_home(tmp_path, service)
    assert time.monotonic() - began < 30


@pytest.mark.machines
def test_a_launch_that_died_while_it_packed_has_begun_nothing(
    tmp_path: Path, service: RunPod
) -> None:
    process = launch(tmp_path, service)
    until(lambda: list(tmp_path.glob("jobs/.*.half")), process)
    kill(process)
    assert the_job(tmp_path) is None
    attached = tesuji(tmp_path, service, "jobs", "attach")
    said, _ = attached.communicate(timeout=60)
    assert attached.returncode == 2 and "cut short while it packed" in said
    assert service.made == 0
    process = launch(tmp_path, service)
    assert process.wait(120) == 0, process.communicate()[0]
    assert service.made == 1 and service.costing() == []
