"""A job on a machine that `ssh` reaches: shipped, started, looked at, fetched, ended.

tesuji-jobs/ID/                what `compute/remote.py` wants and writes, `remote.log`, `pid.json`
tesuji-jobs/.environments/...  virtual environments, one a version of Tesuji and what it needs
"""

import hashlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tesuji.compute.base import Status
from tesuji.compute.job.folder import JobFolder
from tesuji.compute.job.package import CONSTRAINTS
from tesuji.compute.ssh.transport import Ssh
from tesuji.core.errors import ComputeError

FOLDER = "tesuji-jobs"
LEAST_PYTHON = (3, 11)
LOOK = 0.5  # seconds in which a start that fails at once is noticed
GRACE = 20.0  # seconds from SIGINT to SIGKILL


class OtherSide:
    """`base` is the folder there that holds `tesuji-jobs`, "" the home; `python` an interpreter
    that has Tesuji already, "" to make an environment from what is shipped. `again`: it was begun
    before, on a machine that was lost and had the same disk."""

    def __init__(
        self, ssh: Ssh, job: JobFolder, *, base: str = "", python: str = "", again: bool = False
    ) -> None:
        self.ssh, self.job, self.python, self.again = ssh, job, python, again
        self.folder = f"{base}/{FOLDER}" if base else FOLDER
        self.root = f"{self.folder}/{job.id}"

    def start(self, secrets: Mapping[str, str]) -> None:
        """Ship what is missing and start it, if it was not started before."""
        seen = self.ssh.ask("state", self.root)
        if seen["begun"] and not (self.again and not seen["alive"] and not seen["exit"]):
            return
        self.ssh.push(self.job.package, self.root)
        python = self.python or self._environment()
        words = [python, "-m", "tesuji.compute.remote", "."]
        order = {"words": words, "cwd": ".", "env": dict(secrets), "look": LOOK}
        self.ssh.ask("begin", self.root, send=order)

    def _environment(self) -> str:
        """The interpreter of an environment there that has what is shipped; made once."""
        versions = self.job.job.versions
        pins = (self.job.package / CONSTRAINTS).read_bytes()
        text = f"{versions['code']} {versions['extras']}".encode()
        folder = f"{self.folder}/.environments/{hashlib.sha256(text + pins).hexdigest()[:16]}"
        extras = f"[{versions['extras']}]" if versions["extras"] else ""
        wheel = (
            f"{'' if self.root.startswith('/') else './'}{self.root}/{versions['wheel']}{extras}"
        )
        self.ssh.ask("environment", folder, send=["-c", f"{self.root}/{CONSTRAINTS}", wheel])
        return str(self.ssh.ask("absolute", f"{folder}/venv/bin/python"))

    def status(self) -> Status:
        """How it stands, in times of this side's clock."""
        seen = self.ssh.ask("state", self.root)
        ahead = seen["now"] - time.time()
        if ended := seen["exit"]:
            began, over = ended["started"] - ahead, ended["ended"] - ahead
            code, words = ended["exit_code"], ended["message"]
            return Status(ended["phase"], code, words, started=began, ended=over)
        began = seen["heartbeat"].get("started")
        since = began - ahead if began is not None else None
        if seen["alive"]:
            return Status("running", started=since)
        if not seen["begun"]:
            return Status("shipping")
        words = f"it ended without a word there\n{seen['said']}".strip()
        return Status("lost", message=words, started=since, ended=time.time())

    def logs(self, offset: int) -> Iterator[tuple[int, str]]:
        """(byte after the line, line), until the job has ended."""
        return self.ssh.lines(self.root, offset)

    def fetch(self, runs: Path) -> bool:
        """Bring the run folder; whether the job had ended before, so that this was all of it."""
        over = self.status().phase in ("done", "failed", "stopped")
        run = self.job.job.run
        self.ssh.pull(f"{self.root}/runs/{run}", runs / run, check=over)
        return over

    def interrupt(self) -> None:
        """Ask it to stop with a checkpoint."""
        self.ssh.ask("interrupt", self.root)

    def stop(self) -> None:
        """End whatever of it still runs there."""
        self.ssh.ask("stop", self.root, str(GRACE))


def check_python(ssh: Ssh, folder: str, *, has_tesuji: bool) -> dict[str, Any]:
    """What the machine is: `python`, `free` bytes, `gpus`. Raises ComputeError where its Python is
    too old, or cannot make the environment that is needed."""
    seen: dict[str, Any] = ssh.ask("probe", folder)
    where = str(ssh.address)
    found = tuple(seen["python"])
    if found < LEAST_PYTHON:
        version = ".".join(map(str, found))
        hint = "install Python 3.11 there and name it: --option base_python=python3.11"
        raise ComputeError(f"its Python is {version}: too old", where=where, hint=hint)
    if not has_tesuji and not seen["venv"]:
        hint = "`apt install python3-venv` there, or --option python=... with Tesuji in it"
        raise ComputeError("its Python makes no virtual environments", where=where, hint=hint)
    return seen
