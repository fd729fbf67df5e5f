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
from runpod_server.server import KEY, RunPod, runpod
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
        time.sleep(0.01)


def kill(process: "subprocess.Popen[str]") -> None:
    os.killpg(process.pid, signal.SIGKILL)  # its `ssh`, too: the laptop is gone
    process.wait()


def the_job(folder: Path) -> JobFolder | None:
    return next(iter(all_jobs(folder / "jobs")), None)


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
    attached = tesuji(tmp_path, service, "jobs", "attach")
    said, _ = attached.communicate(timeout=240)
    assert attached.returncode == 0, said
    job = the_job(tmp_path)
    assert job is not None and job.state.phase == "done" and job.state.released
    assert (tmp_path / "runs" / "small" / "report.html").exists()
    assert service.made == 1 and service.costing() == []
