"""A pod that dies is replaced, as often as the retries say and never by two at once; and network
volumes, which are left when a pod is not."""

from pathlib import Path

import pytest
from processes import command, run, write
from runpod_jobs import QUICK, make_job, there, until, wish
from runpod_server.server import RunPod
from tiny_jobs import write_recipe

from tesuji.compute.follow import fetch, follow
from tesuji.compute.job.folder import JobFolder
from tesuji.compute.launch import start
from tesuji.compute.runpod.machine import RunpodMachine
from tesuji.core.errors import ComputeError

STEPS, LONG = 80, 100_000
CHECKPOINTS = "runs/small/stages/*/checkpoints/*/checksums.json"


def begun(folder: Path, machine: RunpodMachine, job: JobFolder) -> None:
    """Started, and some of it here."""
    start(job, machine, {})
    until(lambda: list(there(folder, job).glob(CHECKPOINTS)))
    fetch(job, machine)


def weights(run_folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(run_folder.glob("stages/*/final/*.safetensors"))]


@pytest.mark.machines
def test_a_pod_that_dies_is_replaced_and_ends_as_if_it_had_not(
    service: RunPod, machine: RunpodMachine, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    text = write_recipe(home, steps=STEPS).read_text()
    run(command(write(home, text.replace("rows.jsonl", str(home / "rows.jsonl")))))
    job, said = make_job(tmp_path, machine, STEPS, retries=1), []
    begun(tmp_path, machine, job)
    first = job.state.started
    service.costing()[0].die()
    assert follow(job, machine, said.append, pace=QUICK, secrets={}).phase == "done"
    assert any("it is started again" in line for line in said)
    assert weights(tmp_path / "runs/small") == weights(home / "runs/small") != []
    assert (service.made, service.most_at_once, service.costing()) == (2, 1, [])
    assert job.state.started == first  # both pods are paid for
    log = job.log.read_text()
    assert "goes on" in log or "resum" in log, log


@pytest.mark.machines
def test_no_more_pods_are_made_than_the_retries_say(
    service: RunPod, machine: RunpodMachine, tmp_path: Path
) -> None:
    job = make_job(tmp_path, machine, LONG, retries=1)
    begun(tmp_path, machine, job)
    service.costing()[0].die()
    assert machine.renew(job)  # and the laptop dies
    assert (job.state.phase, service.costing()) == ("shipping", [])
    start(job, machine, {})  # as `tesuji jobs attach` does
    assert job.state.phase == "running"
    service.costing()[0].die()
    status = follow(job, machine, lambda line: None, pace=QUICK, secrets={})
    assert status.phase == "lost" and "the host does not answer" in status.message
    assert (service.made, service.most_at_once, service.costing()) == (2, 1, [])
    assert (tmp_path / "runs/small/metrics.jsonl").exists()


@pytest.mark.machines
def test_a_network_volume_has_the_run_when_its_pod_is_gone(
    service: RunPod, machine: RunpodMachine, tmp_path: Path
) -> None:
    volume = {"name": "mine", "size": 20, "dataCenter": "CA-MTL-1", "type": "STANDARD"}
    service.volumes["vol0"] = {"id": "vol0", **volume}
    job = make_job(tmp_path, machine, STEPS, retries=1, volume="vol0")
    start(job, machine, {})
    [pod] = service.costing()
    assert pod.body.mounts.persistent is None and pod.body.dataCenterIds == ["CA-MTL-1"]
    until(lambda: list(there(tmp_path, job).glob(CHECKPOINTS)))
    pod.die()
    assert follow(job, machine, lambda line: None, pace=QUICK, secrets={}).phase == "done"
    kept = service.folder / "volumes" / "vol0" / "tesuji-jobs" / job.id / "runs" / "small"
    assert weights(kept) == weights(tmp_path / "runs/small") != []
    assert (service.made, service.most_at_once, service.costing()) == (2, 1, [])


def test_a_volume_that_cannot_be_is_refused_before_anything_is_made(
    service: RunPod, machine: RunpodMachine, tmp_path: Path
) -> None:
    volume = {"name": "mine", "size": 20, "dataCenter": "CA-MTL-1", "type": "STANDARD"}
    service.volumes["vol0"] = {"id": "vol0", **volume}
    refused = {
        r"no network volume 'vol1'(.|\n)*did you mean vol0": wish(tmp_path, volume="vol1"),
        r"vol0 is in CA-MTL-1": wish(tmp_path, volume="vol0", region="EU-SE-1"),
        r"in the SECURE cloud only": wish(tmp_path, volume="vol0", cloud="COMMUNITY"),
    }
    for words, asked in refused.items():
        with pytest.raises(ComputeError, match=words):
            machine.check(asked)
    machine.check(wish(tmp_path, volume="vol0"))
    assert service.made == 0
