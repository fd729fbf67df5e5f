"""A machine that is a folder on this disk: the least that answers all calls, for tests of what is
the same for every machine. Real ones have tests of their own."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tesuji.compute.base import Leftover, Price, Status, Wish
from tesuji.compute.job.folder import JobFolder
from tesuji.compute.remote import EXIT, LOG, STOP
from tesuji.core.errors import ComputeError
from tesuji.core.files import read_json


class FolderMachine:
    """`fails` maps a call's name to how often it fails before it works."""

    def __init__(self, root: Path, fails: dict[str, int] | None = None) -> None:
        self.root = root
        self.fails = fails or {}
        self.rate = 3.6
        root.mkdir(exist_ok=True)

    def check(self, wish: Wish) -> None:
        self._maybe_fail("check")

    def price(self, wish: Wish) -> Price:
        return Price(self.rate, "live")

    def start(self, job: JobFolder, secrets: Mapping[str, str]) -> None:
        there = self._there(job)
        there.mkdir(exist_ok=True)
        (there / "costs").touch()
        self._maybe_fail("start")
        if (there / "pid").exists():
            return
        shutil.copytree(job.package, there, dirs_exist_ok=True)
        child = subprocess.Popen(
            [sys.executable, "-m", "tesuji.compute.remote", str(there)],
            env={**os.environ, **secrets},
            start_new_session=True,
        )
        (there / "pid").write_text(str(child.pid))

    def status(self, job: JobFolder) -> Status:
        self._maybe_fail("status")
        there = self._there(job)
        if (there / EXIT).exists():
            said = read_json(there / EXIT)
            return Status(
                said["phase"], said["exit_code"], said["message"], said["started"], said["ended"]
            )
        return Status("running", started=(there / "costs").stat().st_mtime)

    def logs(self, job: JobFolder, offset: int) -> Iterator[tuple[int, str]]:
        self._maybe_fail("logs")
        log, ended = self._there(job) / LOG, False
        while not ended:
            ended = (self._there(job) / EXIT).exists()
            lines = log.read_text().splitlines() if log.exists() else []
            yield from enumerate(lines[offset:], start=offset + 1)
            offset = len(lines)
            time.sleep(0.1)

    def fetch(self, job: JobFolder, runs: Path) -> None:
        self._maybe_fail("fetch")
        there = self._there(job) / "runs" / job.job.run
        if there.exists():
            try:
                shutil.copytree(there, runs / job.job.run, dirs_exist_ok=True)
            except (shutil.Error, OSError) as error:  # it was just being written
                raise ComputeError(f"not whole: {error}") from None

    def interrupt(self, job: JobFolder) -> None:
        (self._there(job) / STOP).touch()

    def renew(self, job: JobFolder) -> bool:
        return False

    def stop(self, job: JobFolder) -> None:
        self._maybe_fail("stop")
        there = self._there(job)
        if not (there / EXIT).exists() and (there / "pid").exists():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int((there / "pid").read_text()), signal.SIGKILL)
        (there / "costs").unlink(missing_ok=True)

    def leftovers(self) -> list[Leftover]:
        held = sorted(self.root.glob("*/costs"))
        return [Leftover(path.parent.name, path.parent.name, self.rate) for path in held]

    def release(self, leftover: Leftover) -> None:
        (self.root / leftover.id / "costs").unlink(missing_ok=True)

    def _there(self, job: JobFolder) -> Path:
        return self.root / job.id

    def _maybe_fail(self, call: str) -> None:
        if self.fails.get(call, 0) > 0:
            self.fails[call] -= 1
            raise ComputeError(f"{call} did not work", hint="wait")
