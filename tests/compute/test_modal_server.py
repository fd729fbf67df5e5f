"""The stand-in for Modal, tried with the real SDK and its command line."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import modal
import modal_functions
import pytest
from grpclib import Status
from modal_server import ModalServer, can_run, served_modal

pytestmark = pytest.mark.skipif(not can_run(), reason="no mounts of one's own on this machine")
FUNCTIONS = modal_functions.__file__


@pytest.fixture(scope="module")
def one_server() -> Iterator[ModalServer]:
    with served_modal() as found:
        yield found
        assert found.unimplemented == []


@pytest.fixture
def server(one_server: ModalServer) -> ModalServer:
    """The SDK's objects remember their ids: one server for all tests, emptied before each."""
    one_server.empty()
    return one_server


@pytest.fixture
def app(server: ModalServer) -> Iterator[modal.App]:
    with modal_functions.app.run():
        yield modal_functions.app


def command_line(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "modal", *arguments],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def until(holds: Callable[[], Any], seconds: float = 20) -> Any:
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def begun() -> modal.FunctionCall[Any]:
    call = modal_functions.waits.spawn()
    volume = modal_functions.volume
    until(lambda: "begun" in [entry.path for entry in volume.listdir("/")])
    return call


def test_a_function_has_its_image_its_secrets_and_its_volume(app: modal.App) -> None:
    of_image, of_secret, files = modal_functions.write.remote("a.txt", "text")
    assert (of_image, of_secret, files) == ("an image's", "a secret's", ["a.txt"])
    assert b"".join(modal_functions.volume.read_file("a.txt")) == b"text"
    assert list(modal_functions.square.map(range(5))) == [0, 1, 4, 9, 16]


def test_modals_own_command_line_works(server: ModalServer, tmp_path: Path) -> None:
    shown = command_line("run", FUNCTIONS, "--text", "x")
    assert "writing of-main" in shown and "answer ['of-main']" in shown
    (tmp_path / "up.bin").write_bytes(b"\0" * 100 + b"end" + b"\0" * 50)
    command_line("volume", "put", "tesuji-tried", str(tmp_path / "up.bin"), "/deep/up.bin")
    assert command_line("volume", "ls", "tesuji-tried").split() == ["deep", "of-main"]
    command_line("volume", "get", "tesuji-tried", "/deep/up.bin", str(tmp_path / "down.bin"))
    assert (tmp_path / "down.bin").read_bytes() == (tmp_path / "up.bin").read_bytes()
    app_id = modal.App.lookup("kept", create_if_missing=True).app_id
    assert app_id and "kept" in command_line("app", "list")
    command_line("app", "stop", "kept", "--yes")
    assert server.running() == []


def test_a_spawned_call_is_tried_again_when_its_container_died(app: modal.App) -> None:
    assert modal_functions.dies.spawn(1).get(timeout=30) == 1
    with pytest.raises(modal.exception.RemoteError, match="exited with code"):
        modal_functions.dies.spawn(9).get(timeout=30)


def test_timeouts_cancelling_and_stopping_end_containers(
    server: ModalServer, app: modal.App
) -> None:
    with pytest.raises(modal.exception.FunctionTimeoutError):
        modal_functions.too_long.spawn().get(timeout=30)
    call = begun()
    call.cancel(terminate_containers=True)
    with pytest.raises(modal.exception.RemoteError):
        call.get(timeout=20)
    call = modal_functions.waits.spawn()
    app.stop()
    until(lambda: not server.running())


@pytest.mark.machines
def test_a_preempted_function_is_told_and_goes_on_elsewhere(
    server: ModalServer, app: modal.App
) -> None:
    call = begun()
    first = server.running()[0].id
    server.preempt_all()
    until(lambda: [task.id for task in server.running()] not in ([], [first]))
    with modal_functions.volume.batch_upload() as batch:
        batch.put_file(__file__, "/go")
    assert call.get(timeout=30) == "went"
    assert "interrupted" in [entry.path for entry in modal_functions.volume.listdir("/")]


def test_a_detached_app_lives_until_its_work_is_done(server: ModalServer) -> None:
    with modal_functions.app.run(detach=True):
        call = begun()
    with pytest.raises(TimeoutError):
        call.get(timeout=0.5)
    with modal_functions.volume.batch_upload() as batch:
        batch.put_file(__file__, "/go")
    assert modal.FunctionCall.from_id(call.object_id).get(timeout=30) == "went"
    until(lambda: not server.running())


def test_logs_are_streamed_and_a_broken_stream_goes_on(server: ModalServer, app: modal.App) -> None:
    server.faults.break_logs_after = [1, 0]
    for number in range(3):
        modal_functions.write.remote(f"{number}", "")
    app.stop()
    shown = [entry.message.strip() for entry in app.logs.stream()]
    assert shown == ["writing 0", "writing 1", "writing 2"]


def test_faults_are_what_the_sdk_knows_them_as(server: ModalServer) -> None:
    server.faults.broken_image = "no-such-package"
    image = modal.Image.debian_slim(python_version="3.11").uv_pip_install("no-such-package")
    broken = modal.App("tesuji-broken")
    broken.function(image=image, serialized=True)(lambda: None)
    with pytest.raises(modal.exception.ImageBuildError), broken.run():
        pass
    server.faults.answers["AppCreate"] = [Status.UNAVAILABLE]
    server.faults.no_capacity = True
    with modal_functions.app.run():
        call = modal_functions.square.spawn(3)
        with pytest.raises(TimeoutError):
            call.get(timeout=0.5)
        server.faults.no_capacity = False
        assert call.get(timeout=20) == 9
    server.faults.drop_uploads = 1
    volume = modal.Volume.from_name("tesuji-other", create_if_missing=True, version=2)
    with volume.batch_upload() as batch:
        batch.put_file(__file__, "/this")
    assert b"".join(volume.read_file("this")) == Path(__file__).read_bytes()
    server.faults.volume_bytes = 1
    with pytest.raises(modal.exception.Error), volume.batch_upload() as batch:
        batch.put_file(FUNCTIONS, "/more")
    server.world.token = ("another", "token")
    with pytest.raises(modal.exception.AuthError):
        volume.listdir("/")
