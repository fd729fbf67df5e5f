"""RunPod: jobs end to end, its refusals in one message each, and nothing left that costs.

The service is a stand-in (`support/runpod_server`), its pods are processes of this machine.
"""

import re
import time
from pathlib import Path

import pytest
from poker_jobs import CHANGES, RECIPE, weights
from runpod_jobs import A40, QUICK, files_with, make_job, there, until, wish
from runpod_server import catalog
from runpod_server.server import KEY, NO_CAPACITY, Fault, RunPod

from tesuji.compute.follow import end, fetch, follow
from tesuji.compute.job.folder import all_jobs
from tesuji.compute.launch import start
from tesuji.compute.runpod import guard
from tesuji.compute.runpod import pod as pods
from tesuji.compute.runpod.calls import Api
from tesuji.compute.runpod.key import folder_of
from tesuji.compute.runpod.machine import RunpodMachine
from tesuji.compute.sweep import settle
from tesuji.core.errors import ComputeError, TesujiError
from tesuji.recipe.reading.load import load_recipe

CREATE = "POST /v2/pods"


@pytest.mark.slow
def test_a_poker_job_comes_to_the_same_as_here(
    service: RunPod, machine: RunpodMachine, tmp_path: Path, poker_here: Path
) -> None:
    job = make_job(tmp_path, machine, recipe=load_recipe(RECIPE, CHANGES))
    said: list[str] = []
    start(job, machine, {"HF_TOKEN": "hf_nosuchtokenasthisone"})
    [pod] = service.costing()
    assert pod.body.name == f"tesuji-{job.id}" and pod.body.gpu.id == A40
    assert "nosuchtoken" not in pod.body.model_dump_json()
    status = follow(job, machine, said.append, pace=QUICK)
    run = tmp_path / "runs" / "poker-short"
    assert (status.phase, status.exit_code) == ("done", 0), said
    assert weights(run) == weights(poker_here) and len(weights(run)) == 4
    assert any("all steps done" in line for line in said)
    assert service.costing() == [] and service.made == 1
    assert job.cost(time.time()) > 0 and job.state.ended is not None
    assert not folder_of(job.id).exists() and service.keys == []
    assert files_with(tmp_path / "jobs", "nosuchtoken") == files_with(run, "nosuchtoken") == []
    assert files_with(tmp_path / "jobs", KEY) == files_with(run, KEY) == []


REFUSED = [
    (Fault(CREATE, 400, NO_CAPACITY), "RunPod has no NVIDIA A40 free now(.|\n)*RTX 4090 at"),
    (Fault(CREATE, 402, "balance too low"), "too little money"),
    (Fault("GET .*", 401, "bad token", times=99), "does not take the key in RUNPOD_API_KEY"),
    (Fault(CREATE, 403, "access denied"), "may not do that: access denied"),
    (Fault(CREATE, 409, "conflict"), "it refuses (409): conflict"),
    (Fault(CREATE, 422, "Request validation failed."), "it refuses (422)"),
]


@pytest.mark.parametrize(("fault", "words"), REFUSED, ids=lambda v: getattr(v, "status", ""))
def test_a_refusal_is_one_message_and_leaves_nothing(
    service: RunPod, machine: RunpodMachine, tmp_path: Path, fault: Fault, words: str
) -> None:
    service.faults.append(fault)
    pattern = words if "(.|" in words else re.escape(words)
    with pytest.raises(ComputeError, match=pattern) as told:
        start(make_job(tmp_path, machine), machine, {})
    assert str(told.value).count("\n") <= 1, "what, and what to do"
    service.faults.clear()
    assert service.costing() == [] and service.made == 0
    assert all(job.state.phase == "failed" for job in all_jobs(tmp_path / "jobs"))


def test_names_clouds_and_counts_are_checked_before_anything_is_made(
    service: RunPod, machine: RunpodMachine, tmp_path: Path
) -> None:
    refused = {
        r"no GPU 'A400'(.|\n)*did you mean": wish(tmp_path, "A400"),
        r"a pod here has a GPU(.|\n)*--gpu": wish(tmp_path, ""),
        r"at most 8 x NVIDIA A40": wish(tmp_path, count=9),
        r"not in the COMMUNITY cloud(.|\n)*SECURE": wish(
            tmp_path, "NVIDIA H100 80GB HBM3", cloud="COMMUNITY"
        ),
        r"has no NVIDIA H100 80GB HBM3 free now(.|\n)*NVIDIA A40 at \$0\.44": wish(
            tmp_path, "H100 SXM"
        ),
        r"it is in EU-SE-1, CA-MTL-1": wish(tmp_path, region="US-TX-3"),
        r"no spot pods any more": wish(tmp_path, spot="true"),
        r"has no spot(.|\n)*COMMUNITY": wish(tmp_path, cloud="SPOT"),
        r"no cloud 'MOON'": wish(tmp_path, cloud="MOON"),
        r"no setting 'imag'(.|\n)*did you mean image": wish(tmp_path, imag="x"),
    }
    for words, asked in refused.items():
        with pytest.raises(ComputeError, match=words):
            machine.check(asked)
    assert service.made == 0 and not any(c.startswith("POST") for c in service.asked)


def test_prices_are_asked_for(service: RunPod, machine: RunpodMachine, tmp_path: Path) -> None:
    price = machine.price(wish(tmp_path, "a40", count=2))
    assert (price.dollars_per_hour, price.source) == (0.88, "live")
    assert machine.price(wish(tmp_path, cloud="COMMUNITY")).dollars_per_hour == 0.35


def test_without_a_key_it_says_where_one_is(
    service: RunPod, machine: RunpodMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNPOD_API_KEY")
    with pytest.raises(ComputeError, match=r"RUNPOD_API_KEY is not set(.|\n)*export"):
        machine.check(wish(tmp_path))


@pytest.mark.machines
def test_limits_and_failures_of_the_service_are_waited_out(
    service: RunPod, machine: RunpodMachine, tmp_path: Path
) -> None:
    service.faults += [
        Fault("GET /v2/catalog/gpus", 429, "slow down", headers={"Retry-After": "1"}),
        Fault("GET /v2/catalog/gpus", 503, "upstream"),
        Fault(CREATE, 429, "slow down", headers={"Retry-After": "1"}),
        Fault(CREATE, 500, "upstream", done=True),  # there is a pod all the same
        Fault("DELETE .*", 500, "upstream", times=2),
        Fault("DELETE .*", 409, "conflict"),
        Fault("POST .*action", 500, "upstream", times=1),
    ]
    job = make_job(tmp_path, machine)
    start(job, machine, {})
    assert follow(job, machine, lambda text: None, pace=QUICK).phase == "done"
    assert service.made == 1 and service.costing() == []


def test_a_service_that_goes_on_failing_is_one_message(service: RunPod) -> None:
    service.faults.append(Fault("GET .*", 503, "upstream", times=99))
    with pytest.raises(ComputeError, match=r"503: upstream(.|\n)*try again later"):
        Api(KEY, service.url, patience=2).pods()
    with pytest.raises(ComputeError, match="cannot be reached"):
        Api(KEY, "http://127.0.0.1:1", patience=1).pods()


def test_an_image_that_does_not_come_up_says_what_runpod_says(
    service: RunPod, machine: RunpodMachine, tmp_path: Path
) -> None:
    service.image_ok = False
    job = make_job(tmp_path, machine)
    with pytest.raises(ComputeError, match=r"error pulling image(.|\n)*--option image="):
        start(job, machine, {})
    assert service.costing() == [] and job.state.phase == "failed"


@pytest.mark.machines
def test_a_pod_that_dies_is_lost_with_what_was_fetched(
    service: RunPod, machine: RunpodMachine, tmp_path: Path
) -> None:
    job = make_job(tmp_path, machine, steps=100_000)
    start(job, machine, {})
    until(lambda: list(there(tmp_path, job).glob("runs/small/stages/*/checkpoints/*/*")))
    fetch(job, machine)
    service.costing()[0].die()
    status = follow(job, machine, lambda text: None, pace=QUICK)
    assert status.phase == "lost" and "the host does not answer" in status.message
    assert (tmp_path / "runs" / "small" / "metrics.jsonl").exists()
    assert service.costing() == []


@pytest.mark.machines
def test_a_pod_ended_by_hand_is_told(
    service: RunPod, machine: RunpodMachine, tmp_path: Path
) -> None:
    job = make_job(tmp_path, machine, steps=100_000, retries=1)
    start(job, machine, {})
    service.costing()[0].act("terminate")
    status = follow(job, machine, lambda text: None, pace=QUICK, secrets={})
    assert (status.phase, status.message) == ("lost", "its pod is gone")
    assert job.state.released and service.made == 1, "what somebody has ended stays so"


def test_an_interrupted_job_brings_its_results_and_ends_its_pod(
    service: RunPod, machine: RunpodMachine, tmp_path: Path
) -> None:
    job = make_job(tmp_path, machine, steps=100_000)
    start(job, machine, {})
    until(lambda: list(there(tmp_path, job).glob("runs/small/stages/*/checkpoints/*/*")))
    assert end(job, machine, lambda text: None, QUICK, ask=True).phase == "stopped"
    assert list((tmp_path / "runs" / "small").glob("stages/*/checkpoints/*/*"))
    assert service.costing() == []


@pytest.mark.machines
def test_nobody_follows_and_the_pod_stops_itself_and_keeps_its_results(
    service: RunPod, machine: RunpodMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(pods.LIMITS, "fetch", 4.0)
    job = make_job(tmp_path, machine)
    start(job, machine, {})
    [pod] = service.costing()
    until(lambda: pod.status == "EXITED")  # nothing of ours here has asked for that
    status = follow(job, machine, lambda text: None, pace=QUICK)
    assert status.phase == "done" and (tmp_path / "runs" / "small" / "report.html").exists()
    assert service.costing() == [] and service.made == 1 and pod.status == "TERMINATED"


@pytest.mark.machines
def test_what_was_fetched_ends_its_pod_itself(
    service: RunPod, machine: RunpodMachine, tmp_path: Path
) -> None:
    job = make_job(tmp_path, machine)
    start(job, machine, {})
    until(lambda: machine.status(job).phase == "done")
    job.note_status(machine.status(job))
    fetch(job, machine)  # and then this side is gone
    until(lambda: not service.costing())


def test_a_pod_that_nobody_ships_to_ends_itself(
    service: RunPod, machine: RunpodMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(pods.LIMITS, "ship", 1.0)
    job = make_job(tmp_path, machine)
    machine.pods.make(job)
    until(lambda: service.made == 1 and not service.costing())


@pytest.mark.machines
def test_results_that_cannot_be_fetched_stay_on_a_stopped_pod(
    service: RunPod, machine: RunpodMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(tmp_path, machine)
    start(job, machine, {})
    until(lambda: machine.status(job).phase == "done")
    job.note_status(machine.status(job))
    (tmp_path / "runs").write_text("in the way")
    status = follow(job, machine, lambda text: None, pace=QUICK)
    assert status.phase == "done" and "tesuji jobs fetch" in status.message
    assert service.costing() == [] and [p.status for p in service.pods.values()] == ["EXITED"]
    (tmp_path / "runs").unlink()
    assert (fetch(job, machine) / "report.html").exists()
    assert [p.status for p in service.pods.values()] == ["TERMINATED"]


@pytest.mark.machines
def test_the_next_launch_ends_what_a_killed_one_left(
    service: RunPod, machine: RunpodMachine, tmp_path: Path
) -> None:
    said: list[str] = []
    job = make_job(tmp_path, machine)
    job.note(phase="shipping")
    machine.pods.make(job)  # and the laptop dies
    assert len(service.costing()) == 1
    settle(tmp_path / "jobs", machine, "runpod", said.append)
    assert service.costing() == [] and job.state.released
    machine.pods.api.create({**pods.body_of(job, A40, service.url), "name": "tesuji-of-others"})
    machine.pods.api.create({**pods.body_of(job, A40, service.url), "name": "not-ours"})
    settle(tmp_path / "jobs", machine, "runpod", said.append)
    assert len(service.costing()) == 2 and "--unknown" in said[-1]
    assert settle(tmp_path / "jobs", machine, "runpod", said.append, unknown=True) == 1
    assert [pod.body.name for pod in service.costing()] == ["not-ours"]


def test_logs_that_break_off_are_taken_up_after_the_last_line(
    service: RunPod, machine: RunpodMachine, tmp_path: Path
) -> None:
    job = make_job(tmp_path, machine)
    pod_id = machine.pods.make(job)["id"]
    machine.pods.ready(job, pod_id)
    for number in range(5):
        service.pods[pod_id].say("system", f"line {number}")
    service.break_logs_after = 4
    lines = machine.pods.api.said(pod_id, "system", 7)
    assert lines[-5:] == [f"line {number}" for number in range(5)] and len(lines) == 7
    assert service.asked.count(f"GET /v2/pods/{pod_id}/logs") == 2
    machine.stop(job)


def test_two_pods_of_a_job_become_one(
    service: RunPod, machine: RunpodMachine, tmp_path: Path
) -> None:
    job = make_job(tmp_path, machine)
    body = pods.body_of(job, A40, service.url)
    first = machine.pods.api.create(body)["id"]
    machine.pods.api.create(body)
    assert machine.pods.make(job)["id"] == first
    assert [pod.id for pod in service.costing()] == [first]


def test_what_is_asked_for_is_what_the_documents_have(
    service: RunPod, machine: RunpodMachine, tmp_path: Path
) -> None:
    job = make_job(tmp_path, machine)
    body = pods.body_of(job, A40, service.url)
    assert body["mounts"]["persistent"]["size"] == 50 and body["ports"] == ["22/tcp"]
    assert set(body["env"]) == {
        "PUBLIC_KEY", "TESUJI_GUARD", "TESUJI_LIMITS", "TESUJI_JOB", "TESUJI_API"
    }  # fmt: skip
    assert catalog.TYPES[body["gpu"]["id"]]
    assert (folder_of(job.id).stat().st_mode & 0o777) == 0o700


@pytest.mark.parametrize(
    ("files", "age", "action"),
    [
        ([], 10, ""),
        ([], 3000, "terminate"),
        (["pid.json", "heartbeat.json"], 100, ""),
        (["pid.json", "heartbeat.json"], 2000, "stop"),  # it died without a word
        (["pid.json", "heartbeat.json", "exit.json"], 100, ""),
        (["pid.json", "heartbeat.json", "exit.json"], 2000, "stop"),
        (["pid.json", "heartbeat.json", "exit.json", "home"], 1, "terminate"),
    ],
)
def test_when_a_pod_ends_itself(tmp_path: Path, files: list[str], age: int, action: str) -> None:
    for name in files:
        (tmp_path / name).touch()
    booted = time.time()
    limits = {**pods.LIMITS, "most": 1e9}
    assert guard.decide(tmp_path, booted, limits, booted + age) == action
    assert guard.decide(tmp_path, booted, {**limits, "most": 0.5}, booted + 1) != "" or not files


def test_all_errors_are_ours(service: RunPod, machine: RunpodMachine, tmp_path: Path) -> None:
    job = make_job(tmp_path, machine)
    for call in (machine.fetch, machine.logs):
        with pytest.raises(TesujiError):
            call(job, tmp_path if call == machine.fetch else 0)
    machine.stop(job)
    machine.interrupt(job)
    assert machine.leftovers() == []
