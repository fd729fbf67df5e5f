"""A container as a process: what it is given, its output line by line, its end."""

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from grpclib.server import Server
from modal_proto import api_pb2

from .state import Function, Task, World
from .volumes import commit, copy_of

UNSHARE = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
AS_ROOT = [*UNSHARE, *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
INSIDE = Path(__file__).with_name("inside.py")
PASSED_ON = ("PATH", "LANG", "HF_HUB_OFFLINE", "OMP_NUM_THREADS", "HF_HOME", "TMPDIR")
LONGEST_LINE = 2**24
BACKGROUND_COMMIT = 2.0


async def start(world: World, task: Task, layout: api_pb2.AppLayout) -> None:
    """The SDK's container entry point in a process with its own mounts."""
    task.folder.mkdir(parents=True)
    function = task.function
    arguments = task.folder / "arguments"
    arguments.write_bytes(
        api_pb2.ContainerArguments(
            task_id=task.id, function_id=function.id, app_id=function.app.id,
            function_def=function.definition, environment_name="main", app_layout=layout,
        ).SerializeToString()
    )  # fmt: skip
    socket = task.folder / "server"
    task.server = Server([world.service(task)])
    await task.server.start(path=str(socket))
    given = {
        "MODAL_IS_REMOTE": "1", "MODAL_SERVER_URL": f"unix:{socket}", "MODAL_TASK_ID": task.id,
        "MODAL_CONTAINER_ARGUMENTS_PATH": str(arguments), "MODAL_ENVIRONMENT": "main",
        "MODAL_IMAGE_ID": function.definition.image_id,
    }  # fmt: skip
    plan = {
        "root": str(task.folder / "root"),
        "keep": _kept(),
        "binds": list(_binds(world, task)),
        "command": [sys.executable, "-m", "modal._container_entrypoint"],
        "environment": {**_environment(world, function), **given},
    }
    (task.folder / "plan.json").write_text(json.dumps(plan))
    task.process = await asyncio.create_subprocess_exec(
        *AS_ROOT, sys.executable, "-I", str(INSIDE), str(task.folder / "plan.json"),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, limit=LONGEST_LINE, start_new_session=True,
    )  # fmt: skip


def _kept() -> list[str]:
    """What of this machine's /root a container must see: the Python that runs the tests."""
    places = {sys.prefix, sys.base_prefix, str(INSIDE.parents[3])}
    return sorted(place for place in places if place.startswith("/root/"))


def _environment(world: World, function: Function) -> dict[str, str]:
    """The image's ENV, then the secrets."""
    known = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    found = {"HOME": "/root", "PYTHONPATH": "/root", "PYTHONUNBUFFERED": "1", **known}
    found |= world.environment | dict(_image_env(world, function.definition.image_id))
    for secret in function.definition.secret_ids:
        found |= world.secrets[secret]
    return found


def _image_env(world: World, image_id: str) -> Iterator[tuple[str, str]]:
    image = world.images[image_id]
    for base in image.base_images:
        yield from _image_env(world, base.image_id)
    for command in image.dockerfile_commands:
        if command.startswith("ENV "):
            for pair in shlex.split(command[4:]):
                name, _, value = pair.partition("=")
                yield name, value


def _binds(world: World, task: Task) -> Iterator[tuple[str, str, bool]]:
    """(what, where in the container, read only)."""
    files = task.folder / "files"
    files.mkdir()
    for mount in task.function.definition.mount_ids:
        for file in world.mounts.get(mount, []):
            path = files.joinpath(*PurePosixPath(file.filename).parts[1:])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(world.blobs[file.sha256_hex])
    (files / "root").mkdir(exist_ok=True)
    for top in sorted(files.iterdir()):
        yield str(top), f"/{top.name}", False
    for volume_mount in task.function.definition.volume_mounts:
        folder = copy_of(task, world.volumes[volume_mount.volume_id])
        if volume_mount.sub_path:
            folder = folder / volume_mount.sub_path.strip("/")
            folder.mkdir(parents=True, exist_ok=True)
        yield str(folder), volume_mount.mount_path, volume_mount.read_only


async def ended(world: World, task: Task) -> int:
    """Its exit code, when all its output is read and its volumes are as it left them."""
    background = asyncio.ensure_future(_commit_now_and_then(world, task))
    await asyncio.gather(
        _read(world, task, task.process.stdout, api_pb2.FILE_DESCRIPTOR_STDOUT),
        _read(world, task, task.process.stderr, api_pb2.FILE_DESCRIPTOR_STDERR),
    )
    code = int(await task.process.wait())
    background.cancel()
    task.server.close()
    await task.server.wait_closed()
    shutil.rmtree(task.folder, ignore_errors=True)
    return code


async def _commit_now_and_then(world: World, task: Task) -> None:
    """Volumes of version 2 are committed in the background, too."""
    mounts = [m for m in task.function.definition.volume_mounts if m.allow_background_commits]
    volumes = [world.volumes[mount.volume_id] for mount in mounts]
    while True:
        await asyncio.sleep(BACKGROUND_COMMIT)
        for volume in volumes:
            if volume.version == api_pb2.VOLUME_FS_VERSION_V2:
                with contextlib.suppress(Exception):
                    commit(world, task, volume)


async def _read(world: World, task: Task, stream: asyncio.StreamReader, descriptor: int) -> None:
    while line := await stream.readline():
        now = time.time()
        call = task.current.call.id if task.current else ""
        entry = api_pb2.TaskLogs(
            data=line.decode(errors="replace"), timestamp=now, timestamp_ns=int(now * 1e9),
            file_descriptor=descriptor, function_call_id=call, container_id=task.id,
            input_id=task.current.id if task.current else "",
        )  # fmt: skip
        task.function.app.logs.append((task.id, task.function.id, entry))
        await world.tell()


def kill(task: Task) -> None:
    """`unshare` dies, and with it every process of the container."""
    with contextlib.suppress(ProcessLookupError):
        task.process.kill()


def interrupt(task: Task) -> None:
    pid = task.process.pid
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGINT)
