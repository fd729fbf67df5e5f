"""A pod: RunPod's states, and a process of this machine as its container.

The image is taken to be one of RunPod's own: `/start.sh` starts sshd where `PUBLIC_KEY` is set, and
`args` stands in place of the image's command. A mount's path is a link to the pod's own folder.
"""

import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ssh_server
from ssh_server import MARK, Machine

from runpod_server.bodies import NewPod

ALLOWED = {
    "PROVISIONING": ("stop", "terminate"),
    "STARTING": ("stop", "terminate"),
    "RUNNING": ("stop", "restart", "terminate"),
    "EXITED": ("start", "terminate"),
    "ERROR": ("start", "terminate"),
    "TERMINATED": (),
}
RUN = ["sh", "-c", 'exec sh -c "$COMMAND"']
SMALL_DISK = 'mount -t tmpfs -o size="$SIZE" none "$DISK" && exec sh -c "$COMMAND"'
OWN_MOUNTS = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
FREE = ("EXITED", "TERMINATED")  # what costs nothing; the storage aside


class Pod:
    """`wait` is how long each of the first two states lasts, in seconds; `image_ok` whether its
    image can be pulled; `disk_bytes` what its mount holds at most (0: no limit)."""

    def __init__(
        self,
        body: NewPod,
        folder: Path,
        price: float,
        wait: float,
        image_ok: bool,
        disk_bytes: int = 0,
    ):
        self.id = secrets.token_hex(5)
        self.key = f"rps_{secrets.token_hex(12)}"  # what its own container may call the API with
        self.body, self.price, self.wait, self.image_ok = body, price, wait, image_ok
        self.folder, self.volumes = folder / self.id, folder / "volumes"
        self.status = "PROVISIONING"
        self.created, self.started = _now(), None
        self.logs: list[dict[str, str]] = []
        self.machine = Machine(str(self.folder), env={})
        self.port: int | None = None
        self.lock = threading.RLock()
        self.begun, self.disk_bytes = 0, disk_bytes
        self.boot()

    def boot(self) -> None:
        """PROVISIONING → STARTING → RUNNING, in its own time."""
        with self.lock:
            self.status, self.begun = "PROVISIONING", self.begun + 1
            threading.Thread(target=self._boot, args=(self.begun,), daemon=True).start()

    def _boot(self, begun: int) -> None:
        time.sleep(self.wait)
        if not self._turn("STARTING", begun, f"create container {self.body.image}"):
            return
        time.sleep(self.wait)
        if not self.image_ok:
            self._turn("ERROR", begun, f"error pulling image: {self.body.image}: manifest unknown")
            return
        with self.lock:
            if self.begun == begun and self.status == "STARTING":
                self._contain()
        self._turn("RUNNING", begun, "start container")

    def _turn(self, status: str, begun: int, line: str) -> bool:
        with self.lock:
            if self.begun != begun or self.status not in ("PROVISIONING", "STARTING"):
                return False
            self.status = status
            self.started = _now() if status == "RUNNING" else self.started
            self.say("system", line)
            return True

    def _contain(self) -> None:
        self.machine.home.mkdir(parents=True, exist_ok=True)
        script = self.folder / "start.sh"
        script.write_text(_START.format(python=sys.executable, support=Path(ssh_server.__file__)))
        script.chmod(0o755)
        self._mount()
        command = self.body.args or "/start.sh"
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.machine.home),
            **self.body.env,
            "RUNPOD_POD_ID": self.id,
            "RUNPOD_API_KEY": self.key,
            "STAND_IN_FOLDER": str(self.folder),
            MARK: self.machine.folder,
            "COMMAND": command.replace("/start.sh", str(script)),
            "DISK": str(self.folder / "disk"),
            "SIZE": str(self.disk_bytes),
        }
        (self.folder / "port").unlink(missing_ok=True)
        self.container = subprocess.Popen(
            [*OWN_MOUNTS, "sh", "-c", SMALL_DISK] if self.disk_bytes else RUN,
            env=env,
            cwd=self.machine.home,
            stdin=subprocess.DEVNULL,
            stdout=(self.folder / "container.log").open("ab"),
            stderr=subprocess.STDOUT,
        )
        has_ssh = "PUBLIC_KEY" in self.body.env and "22/tcp" in self.body.ports
        self.port = ssh_server.port_of(self.machine) if has_ssh else None

    def _mount(self) -> None:
        mounts = self.body.mounts
        if mounts.network:
            disk, path = self.volumes / mounts.network[0].volumeId, Path(mounts.network[0].path)
        elif mounts.persistent:
            disk, path = self.folder / "disk", Path(mounts.persistent.path)
        else:
            return
        disk.mkdir(exist_ok=True, parents=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(disk)

    def act(self, action: str) -> bool:
        """Whether the action fits the state; it is done, then."""
        with self.lock:
            if action not in ALLOWED[self.status]:
                return False
            if action == "stop" and self.body.mounts.network:  # such a pod can be ended only
                return False
            if action == "start":
                self.boot()
            elif action == "restart":
                self._off()
                self._contain()
            else:
                self._off()
                self.status = "EXITED" if action == "stop" else "TERMINATED"
                self.say("system", f"{action} container")
            if action == "terminate":
                shutil.rmtree(self.folder, ignore_errors=True)
            return True

    def die(self) -> None:
        """The host is gone: the container with it, and the pod is an error that still costs."""
        with self.lock:
            self._off()
            self.status = "ERROR"
            self.say("system", "the host does not answer")

    def cut(self) -> None:
        """The network is gone and comes back: connections break, what runs goes on."""
        ssh_server.cut(self.machine)

    def _off(self) -> None:
        self.begun += 1
        ssh_server.end(self.machine)
        shutil.rmtree(self.machine.home, ignore_errors=True)  # the container's disk is wiped
        self.port = None

    def say(self, source: str, line: str) -> None:
        self.logs.append({"ts": _now(), "source": source, "line": line})

    def as_json(self) -> dict[str, Any]:
        """A `Pod` of the documents."""
        running = self.status == "RUNNING"
        body = self.body.model_dump(exclude_none=True)
        shown = ("name", "image", "args", "disk", "env", "ports", "cloud", "mounts")
        direct = self.port is not None and running
        ports = [{"private": 22, "public": self.port, "type": "tcp", "ip": "127.0.0.1"}]
        return {
            **{key: body[key] for key in shown},
            **({"gpu": {**body["gpu"], "vcpuCount": 8, "memory": 32}} if "gpu" in body else {}),
            "registry": None,
            "id": self.id,
            "status": self.status,
            "actions": list(ALLOWED[self.status]),
            "dataCenterId": "EU-SE-1",
            "cudaVersion": "12.8",
            "ssh": {"proxy": None, "direct": _endpoint(self.port) if direct else None},
            "template": None,
            "cost": 0.0 if self.status in FREE else self.price,
            "locked": False,
            "runtime": {"uptime": 1, "ports": ports if direct else []} if running else None,
            "createdAt": self.created,
            "startedAt": self.started,
            "globalNetworking": {"enabled": False},
        }


def _endpoint(port: int | None) -> dict[str, Any]:
    command = f"ssh root@127.0.0.1 -p {port}"
    return {"host": "127.0.0.1", "port": port, "username": "root", "command": command}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


_START = """\
#!/bin/sh
exec {python} -c '
import os, sys
sys.path.insert(0, os.path.dirname("{support}"))
import ssh_server
machine = ssh_server.Machine(os.environ["STAND_IN_FOLDER"], env={{}})
process = ssh_server.start(machine, os.environ.get("PUBLIC_KEY", ""))
sys.exit(process.wait())
'
"""
