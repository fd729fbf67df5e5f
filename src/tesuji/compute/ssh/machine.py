"""`--on ssh:user@host`: any machine that one has, over the `ssh` of this one.

Nothing is rented and nothing is released; a job ends there, its folder stays.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from tesuji.compute.base import Leftover, Price, Status, Wish
from tesuji.compute.job.folder import JobFolder
from tesuji.compute.ssh.address import parse
from tesuji.compute.ssh.other_side import FOLDER, OtherSide, check_python
from tesuji.compute.ssh.transport import Ssh
from tesuji.core.errors import ComputeError, did_you_mean

OPTIONS = {
    "python": "an interpreter there that has Tesuji already",
    "base_python": "the Python there that makes the environment; python3",
}


class SshMachine:
    """Implements `compute.machine.Machine`."""

    def __init__(self, address: str) -> None:
        self.address = parse(address)

    def check(self, wish: Wish) -> None:
        """Whether it lets us in, and has the Python, the GPU and the disk that are asked for."""
        refuse_options(wish, OPTIONS)
        if wish.retries:
            hint = "leave it away; `tesuji launch --resume` goes on with a run that was lost"
            raise ComputeError("there is no other machine", where="--retries", hint=hint)
        ssh = self._ssh(wish, patience=20)
        seen = check_python(ssh, FOLDER, has_tesuji="python" in wish.options)
        gpus, free = seen["gpus"], seen["free"]
        fitting = [name for name in gpus if wish.gpu.casefold() in name.casefold()]
        if wish.gpu and len(fitting) < wish.count:
            what = f"it has no {wish.count} x {wish.gpu}; it has {', '.join(gpus) or 'no GPU'}"
            raise ComputeError(what, where=str(self.address), hint="leave --gpu away to take it so")
        if free < wish.disk_gb * 1e9:
            what = f"{free / 1e9:.1f} GB are free, {wish.disk_gb:g} are asked for"
            raise ComputeError(what, where=str(self.address), hint="free some disk space there")

    def price(self, wish: Wish) -> Price:
        """Nothing."""
        return Price(0, "free")

    def start(self, job: JobFolder, secrets: Mapping[str, str]) -> None:
        """Ship it and start it there, once."""
        there = self._there(job)
        job.note(handle={"folder": there.root})
        there.start(secrets)

    def status(self, job: JobFolder) -> Status:
        """How it stands there."""
        return self._there(job).status()

    def logs(self, job: JobFolder, offset: int) -> Iterator[tuple[int, str]]:
        """Its log from a byte on."""
        return self._there(job).logs(offset)

    def fetch(self, job: JobFolder, runs: Path) -> None:
        """Bring its run folder."""
        self._there(job).fetch(runs)

    def interrupt(self, job: JobFolder) -> None:
        """Ask it to stop with a checkpoint."""
        self._there(job).interrupt()

    def renew(self, job: JobFolder) -> bool:
        """There is no other."""
        return False

    def stop(self, job: JobFolder) -> None:
        """End what still runs there; its folder stays."""
        if "folder" in job.state.handle:
            self._there(job).stop()

    def leftovers(self) -> list[Leftover]:
        """None: it costs nothing."""
        return []

    def release(self, leftover: Leftover) -> None:
        """Nothing to release."""

    def _ssh(self, wish: Wish, patience: float = 180) -> Ssh:
        python = wish.options.get("python") or wish.options.get("base_python", "python3")
        return Ssh(self.address, python=python, patience=patience)

    def _there(self, job: JobFolder) -> OtherSide:
        wish = job.job.wish
        return OtherSide(self._ssh(wish), job, python=wish.options.get("python", ""))


def refuse_options(wish: Wish, known: Mapping[str, str]) -> None:
    """ComputeError for a setting that the machine does not have."""
    if unknown := [name for name in wish.options if name not in known]:
        listed = "; ".join(f"{name} ({words})" for name, words in known.items())
        hint = f"{did_you_mean(unknown[0], known)}there are: {listed}"
        raise ComputeError(f"no setting {unknown[0]!r}", where="--option", hint=hint)
