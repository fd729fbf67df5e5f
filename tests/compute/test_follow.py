"""From launch to the end: results here, nothing held, whatever happens in between."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from folder_machine import FolderMachine
from tiny_jobs import write_recipe

from tesuji.cli.console import console
from tesuji.cli.main import main
from tesuji.compute import follow as following
from tesuji.compute.base import Wish
from tesuji.compute.follow import Pace, end, follow
from tesuji.compute.job.folder import JobFolder, all_jobs, find_job
from tesuji.compute.launch import Folders, prepare, start
from tesuji.compute.sweep import settle
from tesuji.core.errors import ComputeError, DataError, RecipeError
from tesuji.core.files import read_json
from tesuji.recipe.reading.load import load_recipe

PACE = Pace(look=0.1, fetch=0.5, grace=60, tries=3)
LONG = 100_000


@pytest.fixture
def made(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(machine: FolderMachine, steps: int = 2, **wish) -> JobFolder:
        recipe = load_recipe(write_recipe(tmp_path, steps=steps))
        folders = Folders(tmp_path / "jobs", tmp_path / "runs", tmp_path)
        return prepare(recipe, Wish("folder", **wish), machine, folders)

    return make


@pytest.fixture
def machine(tmp_path: Path) -> FolderMachine:
    return FolderMachine(tmp_path / "elsewhere")


def _begun(machine: FolderMachine, job: JobFolder) -> bool:
    return bool(list((machine.root / job.id).glob("runs/small/stages/*/checkpoint*")))


def test_results_come_here_and_the_machine_is_given_back(made, machine, tmp_path: Path) -> None:
    job, told = made(machine), []
    start(job, machine, {})
    status = follow(job, machine, told.append, pace=PACE)
    assert status.phase == "done" and job.state.released and machine.leftovers() == []
    assert (tmp_path / "runs/small/report.html").exists()
    assert read_json(tmp_path / "runs/small/job.json")["id"] == job.id
    assert job.log.read_text().splitlines() == [
        line for line in told if line in job.log.read_text()
    ]
    assert "all steps done" in job.log.read_text()
    assert 0 < job.cost(time.time()) == job.job.price.cost(job.held_seconds(0))


def test_everything_may_fail_a_few_times(made, tmp_path: Path) -> None:
    fails = {"status": 3, "logs": 2, "fetch": 2, "stop": 2}
    machine = FolderMachine(tmp_path / "elsewhere")
    job, told = made(machine), []
    start(job, machine, {})
    machine.fails = dict(fails)
    assert follow(job, machine, told.append, pace=PACE).phase == "done"
    assert machine.leftovers() == [] and (tmp_path / "runs/small/report.html").exists()
    assert sum("status did not work" in line for line in told) == 1


def test_one_that_cannot_be_given_back_is_told_and_found_again(made, machine) -> None:
    job = made(machine)
    start(job, machine, {})
    machine.fails = {"stop": 3}
    with pytest.raises(ComputeError, match="may still cost"):
        follow(job, machine, lambda line: None, pace=PACE)
    assert not job.state.released and machine.leftovers()
    settle(job.path.parent, machine, "folder", lambda line: None)
    assert job.state.released and machine.leftovers() == []


def test_what_cannot_be_started_leaves_nothing(made, tmp_path: Path) -> None:
    machine = FolderMachine(tmp_path / "elsewhere", {"start": 1})
    job = made(machine)
    with pytest.raises(ComputeError, match="start did not work"):
        start(job, machine, {})
    assert job.state.phase == "failed" and job.state.released and machine.leftovers() == []


@pytest.mark.machines
def test_ctrl_c_stops_it_with_its_checkpoint_and_a_second_one_does_no_harm(
    made, machine, tmp_path: Path
) -> None:
    job, told = made(machine, steps=LONG), []

    def press() -> None:
        while not _begun(machine, job):
            time.sleep(0.05)
        for _ in range(8):  # as fast as anybody can
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.02)

    start(job, machine, {})
    threading.Thread(target=press, daemon=True).start()
    status = follow(job, machine, told.append, pace=PACE)
    assert status.phase == "stopped" and machine.leftovers() == []
    assert any("still stopping" in line for line in told)
    assert list((tmp_path / "runs/small/stages").glob("*/checkpoint*"))


def test_left_alone_it_goes_on_and_is_followed_again(made, machine, monkeypatch) -> None:
    job = made(machine)
    start(job, machine, {})
    monkeypatch.setattr(following, "_watch", _interrupted)
    assert follow(job, machine, lambda line: None, leave=True, pace=PACE).phase == "running"
    assert machine.leftovers()
    monkeypatch.undo()
    assert follow(job, machine, lambda line: None, leave=True, pace=PACE).phase == "done"
    assert machine.leftovers() == []


def _interrupted(*ignored, **more) -> None:
    raise KeyboardInterrupt


def test_only_one_follows(made, machine) -> None:
    job = made(machine)
    with job.followed(), pytest.raises(DataError, match="another process follows it"):
        follow(job, machine, lambda line: None, pace=PACE)
    assert not job.is_followed()


@pytest.mark.machines
def test_a_limit_stops_it_from_here_too(made, machine) -> None:
    job, told = made(machine, steps=LONG, max_cost=0.1), []  # 100 s at this rate
    start(job, machine, {})
    costs = machine.root / job.id / "costs"
    while not _begun(machine, job):
        time.sleep(0.1)
    os.utime(costs, (0, time.time() - 120))
    assert follow(job, machine, told.append, pace=PACE).phase == "stopped"
    assert any("is the limit" in line for line in told) and machine.leftovers() == []


def test_a_limit_that_buys_nothing_or_too_little_is_refused(made, machine, tmp_path) -> None:
    with pytest.raises(ComputeError, match="buys 9 s"):
        made(machine, max_cost=0.01)
    assert all_jobs(tmp_path / "jobs") == []


def test_a_start_that_was_cut_short_is_ended_by_the_next(made, machine) -> None:
    job = made(machine)
    job.note(phase="shipping")
    (machine.root / job.id).mkdir()
    (machine.root / job.id / "costs").touch()
    settle(job.path.parent, machine, "folder", lambda line: None)
    assert job.state.phase == "stopped" and machine.leftovers() == []


def test_machines_of_others_are_told_and_left(made, machine) -> None:
    told: list[str] = []
    (machine.root / "stranger").mkdir()
    (machine.root / "stranger/costs").touch()
    jobs = made(machine).path.parent
    assert settle(jobs, machine, "folder", told.append) == 0
    assert "stranger" in told[-1] and machine.leftovers()
    assert settle(jobs, machine, "folder", told.append, unknown=True) == 1
    assert machine.leftovers() == []


def test_a_run_of_that_name_is_never_mixed_with_a_job(made, machine, tmp_path) -> None:
    (tmp_path / "runs/small").mkdir(parents=True)
    with pytest.raises(ComputeError, match="there is a run of that name"):
        made(machine)


def test_jobs_are_found_by_parts_of_their_names(made, machine, tmp_path) -> None:
    first, second = made(machine), made(machine)
    jobs = tmp_path / "jobs"
    assert find_job(jobs, first.id).id == first.id
    assert find_job(jobs, second.id[-6:]).id == second.id
    assert find_job(jobs, "").id == find_job(jobs, "small").id == all_jobs(jobs)[-1].id
    with pytest.raises(DataError, match="no job"):
        find_job(jobs, "nothing")


def test_secrets_stand_nowhere(made, machine, tmp_path, monkeypatch) -> None:
    (tmp_path / ".env").write_text("MY_WORD=swordfish-1234\n")
    from tesuji.compute.job.environment import secrets_for

    job = made(machine)
    secrets = secrets_for(load_recipe(tmp_path / "small.yaml"), ["MY_WORD"], tmp_path)
    start(job, machine, secrets)
    job.note(message="the key is swordfish-1234")
    follow(job, machine, lambda line: None, pace=PACE)
    for file in [*job.path.rglob("*"), *(tmp_path / "runs").rglob("*")]:
        assert not file.is_file() or b"swordfish-1234" not in file.read_bytes(), file
    end(job, machine, lambda line: None, PACE)


@pytest.mark.machines
def test_a_run_that_is_here_is_shipped_and_gone_on_with(made, machine, tmp_path):
    job = made(machine, steps=800)
    start(job, machine, {})
    while not _begun(machine, job):
        time.sleep(0.05)
    end(job, machine, lambda line: None, PACE, ask=True)
    kept = sorted((tmp_path / "runs/small/stages").glob("*/checkpoint*"))
    assert job.state.phase == "stopped" and kept
    folders = Folders(tmp_path / "jobs", tmp_path / "runs", tmp_path)
    recipe = load_recipe(tmp_path / "small.yaml")
    second = prepare(recipe, Wish("folder"), machine, folders, resume=True)
    start(second, machine, {})
    assert follow(second, machine, lambda line: None, pace=PACE).phase == "done"
    assert "all steps done" in second.log.read_text()
    rows = (tmp_path / "runs/small/metrics.jsonl").read_text().splitlines()
    steps = [json.loads(row)["step"] for row in rows if '"loss"' in row]
    assert steps == sorted(set(steps)) and steps[-1] == 800  # none was done twice


def test_there_must_be_a_run_to_go_on_with(made, machine, tmp_path) -> None:
    recipe = load_recipe(write_recipe(tmp_path))
    folders = Folders(tmp_path / "jobs", tmp_path / "runs", tmp_path)
    with pytest.raises(ComputeError, match="no run to go on with"):
        prepare(recipe, Wish("folder"), machine, folders, resume=True)
    assert all_jobs(tmp_path / "jobs") == []


def test_files_that_are_not_here_are_told_before_anything_is_paid(machine, tmp_path) -> None:
    recipe = load_recipe(write_recipe(tmp_path), ["stages.sft.data=elsewhere.jsonl"])
    folders = Folders(tmp_path / "jobs", tmp_path / "runs", tmp_path)
    with pytest.raises(RecipeError, match=r"elsewhere\.jsonl"):
        prepare(recipe, Wish("folder"), machine, folders)


def test_a_start_under_way_is_left_alone_by_others(made, machine) -> None:
    job = made(machine)
    job.note(phase="shipping")
    (machine.root / job.id).mkdir()
    (machine.root / job.id / "costs").touch()
    with job.followed():
        settle(job.path.parent, machine, "folder", lambda line: None)
    assert job.state.phase == "shipping" and machine.leftovers()


def test_the_last_lines_of_a_log_are_not_lost(made, machine) -> None:
    job = made(machine)
    start(job, machine, {})
    while machine.status(job).phase == "running":
        time.sleep(0.2)
    machine.fails = {"logs": 3}
    follow(job, machine, lambda line: None, pace=PACE)
    assert "Now play it" in job.log.read_text()


@pytest.mark.machines
def test_one_that_ignores_its_limit_is_ended(made, machine, monkeypatch) -> None:
    job = made(machine, steps=LONG, max_cost=0.1)
    start(job, machine, {})
    monkeypatch.setattr(machine, "interrupt", lambda job: None)
    os.utime(machine.root / job.id / "costs", (0, time.time() - 120))
    pace = Pace(look=0.1, fetch=60, grace=1, tries=3)
    assert follow(job, machine, lambda line: None, pace=pace).phase == "stopped"
    assert machine.leftovers() == []


def test_ctrl_c_while_it_is_started_leaves_nothing_that_costs(made, machine, monkeypatch) -> None:
    job, begin = made(machine), machine.start

    def interrupted(job: JobFolder, secrets: dict[str, str]) -> None:
        machine.fails = {"start": 1}
        with pytest.raises(ComputeError):  # it costs by now
            begin(job, secrets)
        raise KeyboardInterrupt

    monkeypatch.setattr(machine, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        start(job, machine, {}, leave=True)
    assert job.state.phase == "shipping" and machine.leftovers()  # as `jobs attach` promises
    with pytest.raises(KeyboardInterrupt):
        start(job, machine, {})
    assert (job.state.phase, job.state.released) == ("stopped", True)
    assert machine.leftovers() == []


@pytest.mark.parametrize("folder", ["runs", "jobs"])
def test_folders_that_cannot_be_written_are_told_before_anything_is_paid(
    machine, tmp_path, folder, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("a file")
    places = {"jobs": tmp_path / "jobs", "runs": tmp_path / "runs"}
    places[folder] = tmp_path / "taken" / "deep"
    recipe = load_recipe(write_recipe(tmp_path))
    with pytest.raises(ComputeError, match="cannot be written") as raised:
        prepare(recipe, Wish("folder"), machine, Folders(here=tmp_path, **places))
    assert f"--{folder}" in str(raised.value)


def test_one_job_that_cannot_be_given_back_keeps_no_other_from_it(
    made, machine, monkeypatch
) -> None:
    first, second = made(machine), made(machine)
    for job in (first, second):
        (machine.root / job.id).mkdir()
        (machine.root / job.id / "costs").touch()
        job.note(phase="failed")
    stop = machine.stop

    def refused(job: JobFolder) -> None:
        if job.id == first.id:
            raise ComputeError("not now")
        stop(job)

    machine.stop = refused
    monkeypatch.setattr(following, "Pace", lambda: PACE)
    with pytest.raises(ComputeError, match="not now"):
        settle(first.path.parent, machine, "folder", lambda line: None)
    assert second.state.released and not first.state.released


def test_a_damaged_job_is_told_and_no_place_keeps_the_others_from_being_swept(
    made, machine, tmp_path, capsys, monkeypatch
) -> None:
    damaged, other = made(machine), made(machine)
    (damaged.path / "job.json").write_text('{"broken')
    (machine.root / other.id).mkdir()
    (machine.root / other.id / "costs").touch()
    other.note(phase="failed")

    def place(on: str) -> FolderMachine:
        if on == "folder":
            return machine
        raise ComputeError("no key", where=on)

    monkeypatch.setattr("tesuji.compute.registry.machine_for", place)
    assert main(["jobs", "sweep", "--on", "cloud"]) == 1
    said = capsys.readouterr().out
    assert "no key" in said and "not valid JSON" in said and "sweep --on MACHINE" in said
    assert other.state.released and machine.leftovers() == []
    assert main(["jobs", "cost", damaged.id]) == 2
    assert "not valid JSON" in capsys.readouterr().out


def test_the_jobs_folder_may_be_named_before_the_command(tmp_path, capsys) -> None:
    assert main(["jobs", "--jobs", str(tmp_path / "none"), "cost"]) == 2
    assert "none" in capsys.readouterr().err.replace("\n", "")


def test_a_dry_run_refuses_what_a_launch_would(machine, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tesuji.compute.registry.machine_for", lambda on: machine)
    words = ["launch", str(write_recipe(tmp_path)), "--on", "folder", "--dry-run"]
    assert main(words) == 0
    assert main([*words, "stages.sft.data=elsewhere.jsonl"]) == 2
    assert main([*words, "--max-cost", "0.001"]) == 2
    assert main([*words, "--resume"]) == 2
    (tmp_path / "runs" / "small").mkdir(parents=True)
    assert main(words) == 2 and not (tmp_path / "jobs").exists()


def test_the_list_of_jobs_has_ids_whole_on_a_narrow_terminal(
    made, machine, capsys, monkeypatch
) -> None:
    job = made(machine, gpu="NVIDIA GeForce RTX 4090", count=8)
    monkeypatch.setattr(console, "width", 80)
    assert main(["jobs"]) == 0
    assert job.id in capsys.readouterr().out


def test_half_packages_of_the_dead_go_and_those_of_the_living_stay(made, machine) -> None:
    jobs = made(machine).path.parent
    for name, age in (("old", 7200), ("young", 10)):
        half = jobs / f".{name}.half"
        half.mkdir()
        os.utime(half, (0, time.time() - age))
    settle(jobs, machine, "folder", lambda line: None)
    assert not (jobs / ".old.half").exists() and (jobs / ".young.half").exists()
    assert all_jobs(jobs)[0].state.phase == "new"  # it is just about to be started
