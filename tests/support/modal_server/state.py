"""What Modal's servers remember: apps, functions, calls, containers, volumes, and the rest."""

import asyncio
import random
import string
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grpclib import GRPCError, Status
from modal_proto import api_pb2

TOKEN = ("ak-tesujistandin", "as-thisisnosecretofanyone")
STOPPED = (api_pb2.APP_STATE_STOPPED, api_pb2.APP_STATE_STOPPING)


@dataclass
class Faults:
    """What goes wrong on purpose. Counts and lists are used up; the rest holds until unset."""

    answers: dict[str, list[Status]] = field(default_factory=dict)
    """Name of a call ("*": any) → the errors that its next times answer."""
    no_capacity: bool = False
    """No container starts: inputs stay queued, as on a busy day."""
    broken_image: str = ""
    """An image one of whose commands holds this does not build."""
    break_logs_after: list[int] = field(default_factory=list)
    """After so many lines a log stream breaks; one number a stream."""
    drop_uploads: int = 0
    """So many uploads of a block end half-way, the connection cut."""
    drop_downloads: int = 0
    volume_bytes: int | None = None
    """What a volume holds at most: uploads and commits beyond it are refused."""

    watching: Callable[[str], None] = lambda method: None
    """Told of each call before it is answered."""

    def check(self, method: str) -> None:
        self.watching(method)
        for name in (method, "*"):
            if self.answers.get(name):
                status = self.answers[name].pop(0)
                raise GRPCError(status, f"{method}: {status.name.lower()} on purpose")


@dataclass
class App:
    id: str
    description: str
    state: int
    name: str = ""
    created: float = field(default_factory=time.time)
    deployed: float = 0
    stopped: float = 0
    heartbeat: float = field(default_factory=time.time)
    function_ids: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    version: int = 0
    logs: list[tuple[str, str, "api_pb2.TaskLogs"]] = field(default_factory=list)
    """(container, function, line), in order."""


@dataclass
class Function:
    id: str
    app: App
    name: str
    metadata: api_pb2.FunctionHandleMetadata
    definition: api_pb2.Function = field(default_factory=api_pb2.Function)
    queue: "list[Input]" = field(default_factory=list)
    failed_starts: int = 0

    def data(self) -> api_pb2.FunctionData:
        """The definition as `FunctionData`, with what the two messages have in common."""
        data = api_pb2.FunctionData()
        names = {field.name for field in data.DESCRIPTOR.fields}
        for descriptor, value in self.definition.ListFields():
            if descriptor.name not in names:
                continue
            if descriptor.is_repeated or descriptor.message_type:
                getattr(data, descriptor.name).MergeFrom(value)
            else:
                setattr(data, descriptor.name, value)
        ranked = data.ranked_functions.add()
        ranked.function.CopyFrom(self.definition)
        return data


@dataclass
class Input:
    id: str
    idx: int
    input: api_pb2.FunctionInput
    call: "Call"
    retry_count: int = 0
    attempts: int = 0
    done: bool = False


@dataclass
class Call:
    id: str
    function: Function
    invocation: int
    inputs: list[Input] = field(default_factory=list)
    outputs: list[api_pb2.FunctionGetOutputsItem] = field(default_factory=list)
    created: float = field(default_factory=time.time)


@dataclass
class Task:
    """A container."""

    id: str
    function: Function
    folder: Path
    process: Any = None
    current: Input | None = None
    started: float = field(default_factory=time.time)
    to_cancel: list[str] = field(default_factory=list)
    ending: str = ""
    """Why the server ends it: "stop", "timeout", "preempted", "cancelled"; empty: it runs."""
    seen: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    """Volume → path → (time, size) as they were when last copied."""
    fetched: bool = False
    taken: float = 0
    ended: float = 0
    server: Any = None


@dataclass
class Volume:
    id: str
    name: str
    version: int
    folder: Path
    created: float = field(default_factory=time.time)


class World:
    """All of it, in one event loop; `wait_for` waits until something holds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults = Faults()
        self.token = TOKEN
        self.apps: dict[str, App] = {}
        self.functions: dict[str, Function] = {}
        self.calls: dict[str, Call] = {}
        self.inputs: dict[str, Input] = {}
        self.tasks: dict[str, Task] = {}
        self.past_tasks: dict[str, Task] = {}
        self.volumes: dict[str, Volume] = {}
        self.secrets: dict[str, dict[str, str]] = {}
        self.mounts: dict[str, list[api_pb2.MountFile]] = {}
        self.images: dict[str, api_pb2.Image] = {}
        self.built: set[str] = set()
        self.blobs: dict[str, bytes] = {}
        self.rates: dict[str, str] = dict(RATES)
        self.asked: list[str] = []
        self.unimplemented: list[str] = []
        self.idle_seconds = 0.5
        self.heartbeat_seconds = 60.0
        self.grace_seconds = 30.0
        self.running: set[asyncio.Future[None]] = set()
        self.service: Callable[[Task | None], Any] = lambda task: None
        self.environment: dict[str, str] = {}
        self.http = ""
        self._changed = asyncio.Condition()

    def new_id(self, prefix: str) -> str:
        letters = string.ascii_letters + string.digits
        return f"{prefix}-" + "".join(random.SystemRandom().choices(letters, k=22))

    async def tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def wait_for(self, holds: Callable[[], Any], seconds: float) -> None:
        """Until `holds()` is true, at most `seconds`."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(holds)
        except TimeoutError:
            pass

    def app_named(self, name: str) -> App | None:
        running = (app for app in self.apps.values() if app.name == name)
        return next((app for app in running if app.state not in STOPPED), None)


RATES = {
    "cpu_hour_cost": "0.04730",
    "cpu_hour_cost_sandbox": "0.141900",
    "mem_gib_hour_cost": "0.00800",
    "mem_gib_hour_cost_sandbox": "0.024000",
    "gpu_hour_cost_t4": "0.59",
    "gpu_hour_cost_l4": "0.80",
    "gpu_hour_cost_a10g": "1.10",
    "gpu_hour_cost_l40s": "1.95",
    "gpu_hour_cost_a100_40gb": "2.10",
    "gpu_hour_cost_a100_80gb": "2.50",
    "gpu_hour_cost_rtx6000": "3.03",
    "gpu_hour_cost_h100": "3.95",
    "gpu_hour_cost_h200": "4.54",
    "gpu_hour_cost_b200": "6.25",
    "gpu_hour_cost_b300": "7.10",
    "volume_storage_gib_month_cost": "0.09",
}
"""Keys and dollars as `modal billing rates --json` gave them in September 2026."""
