"""The service on its ports, in a thread of its own."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

from aiohttp import web
from grpclib.server import Server
from modal.client import _Client
from modal_proto import api_pb2

from .apps import Apps, stop_app
from .calls import whole
from .containers import Containers, end_task, tick, work_of
from .functions import Functions
from .http import application
from .logs import Logs
from .objects import Objects
from .process import AS_ROOT, kill
from .state import TOKEN, App, Faults, Task, World
from .volumes import Volumes

Service: Any = whole(Apps, Objects, Volumes, Functions, Containers, Logs)
TICK = 0.1


def can_run() -> bool:
    """Whether containers can run here: Linux, and mounts of one's own allowed."""
    try:
        done = subprocess.run([*AS_ROOT, "true"], capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


class ModalServer:
    """`environment` is what a client needs in its environment; `faults` what goes wrong."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="modal-", dir="/tmp"))
        self.world = World(self.folder)
        self.world.service = lambda task: Service(self.world, task)
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "MODAL_SERVER_URL": self.url,
            "MODAL_TOKEN_ID": TOKEN[0],
            "MODAL_TOKEN_SECRET": TOKEN[1],
            "MODAL_CONFIG_PATH": str(self.folder / "none.toml"),
        }

    @property
    def faults(self) -> Faults:
        return self.world.faults

    @property
    def unimplemented(self) -> list[str]:
        return self.world.unimplemented

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """`work` in the server's loop, and its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def start(self) -> None:
        self._thread.start()
        self.do(self._open())

    async def _open(self) -> None:
        self._server = Server([Service(self.world)])
        await self._server.start("127.0.0.1", 0)
        sockets = self._server._server.sockets  # type: ignore[union-attr]
        self.url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        self._runner = web.AppRunner(application(self.world))
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.world.http = f"http://127.0.0.1:{port}"
        self._ticking = asyncio.ensure_future(self._tick())

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            await tick(self.world)
            for app in list(self.world.apps.values()):
                if self._is_over(app):
                    await stop_app(self.world, app)

    def _is_over(self, app: App) -> bool:
        """A detached app whose work is done; an app whose client is gone."""
        if app.state == api_pb2.APP_STATE_DETACHED_DISCONNECTED:
            return work_of(self.world, app) == 0
        silent = time.time() - app.heartbeat > self.world.heartbeat_seconds
        making = (api_pb2.APP_STATE_EPHEMERAL, api_pb2.APP_STATE_INITIALIZING)
        return app.state in making and silent

    def close(self) -> None:
        self.do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _close(self) -> None:
        self._ticking.cancel()
        for app in list(self.world.apps.values()):
            await stop_app(self.world, app)
        await self.world.wait_for(lambda: not self.world.tasks, 20)
        self._server.close()
        await self._runner.cleanup()

    def empty(self) -> None:
        """Files of volumes are removed, faults unset."""
        self.world.faults = Faults()
        self.world.token = TOKEN
        for volume in self.world.volumes.values():
            shutil.rmtree(volume.folder)
            volume.folder.mkdir()

    def running(self) -> list[Task]:
        """Containers that would be paid for now."""
        return list(self.world.tasks.values())

    def kill_all(self) -> None:
        """Every container's processes are killed, as by the kernel."""
        for task in self.running():
            kill(task)

    def preempt_all(self) -> None:
        """Every container is interrupted and, after some seconds, ended; its input goes on in
        another one."""
        for task in self.running():
            self.do(end_task(self.world, task, "preempted"))


@contextlib.contextmanager
def served_modal() -> Iterator[ModalServer]:
    """A server that a client of this process finds (environment set), and one of others by
    `environment`."""
    server = ModalServer()
    server.start()
    before = dict(os.environ)
    os.environ.update(server.environment)
    _Client._set_env_client(None)
    try:
        yield server
    finally:
        os.environ.clear()
        os.environ.update(before)
        server.close()
        _Client._set_env_client(None)  # the SDK keeps one client, with its address, for ever
