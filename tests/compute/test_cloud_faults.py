"""What goes wrong on a rented machine, the same on both clouds: one message, no job lost, nothing
left that costs. `HELD` says which of the faults is held by which test.

The clouds are stand-ins (`support/modal_server`, `support/runpod_server`) that run jobs for real.
"""

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from grpclib import Status
from modal_server import can_run, served_modal
from runpod_server.server import KEY, RunPod, runpod
from tiny_jobs import write_recipe

from tesuji.compute.base import Wish
from tesuji.compute.follow import Pace, follow
from tesuji.compute.job.folder import JobFolder, all_jobs
from tesuji.compute.launch import Folders, prepare, start
from tesuji.compute.machine import Machine
from tesuji.compute.modal import machine as modal_machine
from tesuji.compute.modal.machine import ModalMachine
from tesuji.compute.remote import LOG, ORDER
from tesuji.compute.runpod import pod as pods
from tesuji.compute.runpod.machine import RunpodMachine
from tesuji.core.errors import ComputeError
from tesuji.core.files import read_json, write_json
from tesuji.recipe.reading.load import load_recipe

pytestmark = pytest.mark.skipif(not can_run(), reason="no mounts of one's own on this machine")
PACE = Pace(look=0.2, fetch=1.0, grace=60, tries=3)
LONG = 100_000
HERE = Path(__file__).parent

MACHINE, FAULTS, POD = "test_modal_machine", "test_cloud_faults", "test_runpod"
KILLED = {"modal": "test_modal_killed", "runpod": "test_runpod_killed"}
HELD: dict[str, tuple[str, str]] = {
    # fault: (held at Modal by FILE::TEST, held at RunPod by FILE::TEST)
    "no capacity": (
        f"{MACHINE}::test_a_job_that_waits_for_a_gpu_is_stopped_before_it_begins",
        f"{POD}::test_a_refusal_is_one_message_and_leaves_nothing",
    ),
    **dict.fromkeys(
        ("401", "403", "409"),
        (
            f"{MACHINE}::test_a_fault_is_one_message_and_leaves_nothing",
            f"{POD}::test_a_refusal_is_one_message_and_leaves_nothing",
        ),
    ),
    "429": (
        f"{MACHINE}::test_a_fault_is_one_message_and_leaves_nothing",
        f"{POD}::test_limits_and_failures_of_the_service_are_waited_out",
    ),
    "5xx": (
        f"{MACHINE}::test_passing_troubles_are_not_noticed",
        f"{POD}::test_limits_and_failures_of_the_service_are_waited_out",
    ),
    "a machine that dies": (
        f"{MACHINE}::test_a_job_that_died_and_was_taken_away_ends_as_if_it_had_not",
        "test_renewed::test_a_pod_that_dies_is_replaced_and_ends_as_if_it_had_not",
    ),
    "a log stream that breaks": (f"{FAULTS}::test_a_log_that_breaks_off_comes_whole",) * 2,
    "a half upload": (
        f"{MACHINE}::test_passing_troubles_are_not_noticed",
        f"{FAULTS}::test_a_half_upload_is_taken_up",
    ),
    "a full volume": (
        f"{MACHINE}::test_a_fault_is_one_message_and_leaves_nothing",
        f"{FAULTS}::test_a_full_volume_is_one_message",
    ),
    "killed while it packs": (
        f"{KILLED['modal']}::test_a_launch_that_died_while_it_packed_has_begun_nothing",
        f"{KILLED['runpod']}::test_a_launch_that_died_while_it_packed_has_begun_nothing",
    ),
    "killed while it ships": (
        f"{MACHINE}::test_a_start_that_was_killed_goes_on_and_makes_no_second_machine",
        f"{KILLED['runpod']}::test_attach_goes_on_after_a_kill",
    ),
    "killed while it runs": (
        f"{KILLED['modal']}::test_attach_goes_on_after_a_kill",
        f"{KILLED['runpod']}::test_attach_goes_on_after_a_kill",
    ),
    "killed while it fetches": (
        f"{KILLED['modal']}::test_attach_goes_on_after_a_kill",
        f"{KILLED['runpod']}::test_attach_goes_on_after_a_kill",
    ),
    "killed before the machine is given back": (
        f"{KILLED['modal']}::test_attach_goes_on_after_a_kill",
        f"{KILLED['runpod']}::test_results_that_are_whole_here_are_not_asked_for_again",
    ),
    "Ctrl-C twice": (f"{FAULTS}::test_ctrl_c_twice_stops_it_with_its_results",) * 2,
    "price above the limit": (f"{FAULTS}::test_a_price_above_the_limit_is_refused",) * 2,
    "price that has risen": (
        f"{FAULTS}::test_a_price_above_the_limit_is_refused",
        f"{FAULTS}::test_a_pod_that_is_dearer_than_told_is_given_back",
    ),
    "max-cost reached": (f"{FAULTS}::test_what_the_dollars_buy_is_over",) * 2,
    "wrong GPU name": (
        f"{MACHINE}::test_what_cannot_be_is_refused_before_anything_is_asked_of_modal",
        f"{POD}::test_names_clouds_and_counts_are_checked_before_anything_is_made",
    ),
    "image that does not build": (
        f"{MACHINE}::test_a_fault_is_one_message_and_leaves_nothing",
        f"{POD}::test_an_image_that_does_not_come_up_says_what_runpod_says",
    ),
    "preemption": (
        f"{MACHINE}::test_a_job_that_died_and_was_taken_away_ends_as_if_it_had_not",
        f"{POD}::test_names_clouds_and_counts_are_checked_before_anything_is_made",  # no spot
    ),
}


@pytest.mark.parametrize("fault", HELD)
def test_the_tests_that_hold_a_fault_are_there(fault: str) -> None:
    for named in HELD[fault]:
        file, test = named.split("::")
        [path] = HERE.rglob(f"{file}.py")
        assert re.search(rf"^def {test}\(", path.read_text(), re.MULTILINE), named


@dataclass
class Cloud:
    """One of the two, with what a test has to see of it."""

    name: str
    server: Any
    machine: Machine
    folder: Path

    def wish(self, **more: Any) -> Wish:
        if self.name == "modal":
            return Wish("modal", "T4", **more)
        mine = {"python": sys.executable, "mount": str(self.folder / "workspace")}
        return Wish("runpod", "NVIDIA A40", options=mine, **more)

    def job(self, steps: int = 2, **more: Any) -> JobFolder:
        recipe = load_recipe(write_recipe(self.folder, steps=steps))
        folders = Folders(self.folder / "jobs", self.folder / "runs", self.folder)
        return prepare(recipe, self.wish(**more), self.machine, folders)

    def held(self) -> list[Any]:
        """What costs now."""
        found = self.server.running() if self.name == "modal" else self.server.costing()
        return [*found, *self.machine.leftovers()]

    def there(self, job: JobFolder) -> Path:
        """The job's folder over there."""
        if self.name == "runpod":
            return self.folder / "workspace" / "tesuji-jobs" / job.id
        return next(iter(self.server.folder.glob(f"volumes/*/{job.id}")), self.folder / "none")

    def has_begun(self, job: JobFolder) -> bool:
        return bool(list(self.there(job).glob("runs/*/stages/*/checkpoints/*/checksums.json")))

    def raise_prices(self, times: float) -> None:
        if self.name == "modal":
            rates = self.server.world.rates
            rates |= {name: str(times * float(rate)) for name, rate in rates.items()}
        else:
            self.server.dearer = times


def pods_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunPod]:
    monkeypatch.setenv("RUNPOD_API_KEY", KEY)
    monkeypatch.setenv("TESUJI_CACHE", str(folder / "cache"))
    monkeypatch.setitem(pods.LIMITS, "look", 0.2)
    with runpod(folder / "pods") as running:
        monkeypatch.setenv("TESUJI_RUNPOD_URL", running.url)
        yield running


@pytest.fixture(params=["modal", "runpod"])
def cloud(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cloud]:
    monkeypatch.chdir(tmp_path)
    if request.param == "modal":
        monkeypatch.setattr(modal_machine, "POLL", 0.3)
        with served_modal() as server:
            yield Cloud("modal", server, ModalMachine(), tmp_path)
            assert server.unimplemented == []
    else:
        machine = RunpodMachine(look=0.05, patience=20)
        for service in pods_of(tmp_path, monkeypatch):
            yield Cloud("runpod", service, machine, tmp_path)


only_runpod = pytest.mark.parametrize("cloud", ["runpod"], indirect=True)


def until(holds: Callable[[], Any], seconds: float = 60) -> None:
    over = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < over, "it never came"
        time.sleep(0.05)


def assert_nothing_is_held(cloud: Cloud) -> None:
    until(lambda: cloud.held() == [], 10)


@pytest.mark.machines
def test_ctrl_c_twice_stops_it_with_its_results(cloud: Cloud, tmp_path: Path) -> None:
    job, told = cloud.job(steps=LONG), []

    def press() -> None:
        until(lambda: cloud.has_begun(job))
        for _ in range(5):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)

    start(job, cloud.machine, {})
    threading.Thread(target=press, daemon=True).start()
    assert follow(job, cloud.machine, told.append, pace=PACE).phase == "stopped"
    assert any("still stopping" in line for line in told)
    assert list((tmp_path / "runs/small").rglob("checkpoint-*/model.safetensors"))
    assert job.state.released
    assert_nothing_is_held(cloud)


def test_a_price_above_the_limit_is_refused(cloud: Cloud, tmp_path: Path) -> None:
    with pytest.raises(ComputeError, match=r"\$0.001 buys \d+ s of this machine") as told:
        cloud.job(max_cost=0.001)
    assert told.value.hint
    cloud.job(max_cost=0.1)
    cloud.raise_prices(100)
    with pytest.raises(ComputeError, match="buys"):
        cloud.job(max_cost=0.1)
    assert len(all_jobs(tmp_path / "jobs")) == 1
    assert_nothing_is_held(cloud)


@only_runpod
def test_a_pod_that_is_dearer_than_told_is_given_back(cloud: Cloud) -> None:
    job = cloud.job()
    cloud.raise_prices(1.5)  # between the asking and the making
    with pytest.raises(ComputeError, match=r"costs \$0.66 an hour, and \$0.44 was told"):
        start(job, cloud.machine, {})
    assert (job.state.phase, job.state.released) == ("failed", True)
    assert cloud.server.made == 1
    assert_nothing_is_held(cloud)


@pytest.mark.machines
def test_what_the_dollars_buy_is_over(cloud: Cloud) -> None:
    """The machine itself stops the run, whoever looks at it."""
    job = cloud.job(steps=LONG, max_cost=0.1)
    order = dict(read_json(job.package / ORDER))
    assert order["why"] == "cost" and order["most_seconds"] > 60
    write_json(job.package / ORDER, order | {"most_seconds": 8.0})
    start(job, cloud.machine, {})
    status = follow(job, cloud.machine, lambda line: None, pace=PACE)
    assert status.phase == "stopped" and "cost what it may" in status.message
    assert_nothing_is_held(cloud)


@pytest.mark.machines
def test_a_log_that_breaks_off_comes_whole(cloud: Cloud, tmp_path: Path) -> None:
    job, kept = cloud.job(steps=40), tmp_path / "kept.txt"
    start(job, cloud.machine, {})

    def disturb() -> None:
        until((cloud.there(job) / LOG).exists)
        if cloud.name == "runpod":
            kept.hardlink_to(cloud.there(job) / LOG)  # the pod's folder goes with the pod
            cloud.server.costing()[0].cut()
        else:
            cloud.server.faults.answers["VolumeGetFile2"] = [Status.UNAVAILABLE] * 2
            cloud.server.faults.drop_downloads = 2

    breaking = threading.Thread(target=disturb)
    breaking.start()
    assert follow(job, cloud.machine, lambda line: None, pace=PACE).phase == "done"
    breaking.join()
    there = kept if cloud.name == "runpod" else cloud.there(job) / LOG
    assert job.log.read_text().splitlines() == there.read_text().splitlines()
    assert_nothing_is_held(cloud)


@pytest.mark.machines
@only_runpod
def test_a_half_upload_is_taken_up(cloud: Cloud, tmp_path: Path) -> None:
    job = cloud.job()
    (job.package / "more.bin").write_bytes(os.urandom(40_000_000))
    there = cloud.there(job)
    breaking = threading.Thread(
        target=lambda: (
            until(lambda: list(there.glob(".more.bin.*.half"))),
            cloud.server.costing()[0].cut(),
        )
    )
    breaking.start()
    start(job, cloud.machine, {})
    breaking.join()
    more = cloud.there(job) / "more.bin"
    assert more.read_bytes() == (job.package / "more.bin").read_bytes()
    assert follow(job, cloud.machine, lambda line: None, pace=PACE).phase == "done"
    assert (tmp_path / "runs/small/report.html").exists()
    assert_nothing_is_held(cloud)


@only_runpod
def test_a_full_volume_is_one_message(cloud: Cloud) -> None:
    cloud.server.disk_bytes = 400_000
    job = cloud.job()
    with pytest.raises(ComputeError, match="No space left on device") as told:
        start(job, cloud.machine, {})
    assert "Traceback" not in str(told.value) and "larger disk" in told.value.hint
    assert (job.state.phase, job.state.released) == ("failed", True)
    assert_nothing_is_held(cloud)
