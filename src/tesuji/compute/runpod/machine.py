"""`--on runpod`: a pod for a job, reached by ssh, ended in three ways: by itself (`guard.py`), by
whoever follows the job, and by the next launch (`compute/sweep.py`).
"""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tesuji.compute.base import ENDS, PREFIX, GoneError, Leftover, Price, Status, Wish
from tesuji.compute.job.again import take_along
from tesuji.compute.job.folder import JobFolder
from tesuji.compute.runpod.calls import KEY, Api
from tesuji.compute.runpod.catalogue import CLOUDS, dollars, has_stock, no_capacity, pick
from tesuji.compute.runpod.key import NAME, folder_of, forget, refuse_without_tools
from tesuji.compute.runpod.pod import MOUNT, Pods, seconds_of
from tesuji.compute.ssh.address import Address
from tesuji.compute.ssh.machine import refuse_options
from tesuji.compute.ssh.other_side import OtherSide
from tesuji.compute.ssh.transport import Ssh
from tesuji.core.errors import ComputeError

OPTIONS = {
    "cloud": "SECURE or COMMUNITY",
    "image": "one that starts sshd from PUBLIC_KEY, as RunPod's own do",
    "region": "data centers, such as EU-SE-1,CA-MTL-1",
    "volume": "the id of a network volume, in place of a disk of the pod's own",
    "mount": f"where the disk is mounted; {MOUNT}",
    "python": "an interpreter there that has Tesuji already",
    "base_python": "the Python there that makes the environment; python3",
}
DEARER = 1.1  # times the price told; the disk is in what a pod costs, and not in that
SPOT = ("spot", "interruptible", "bid")
NO_SPOT = "RunPod's API v2 has no spot pods any more"


class RunpodMachine:
    """Implements `compute.machine.Machine`."""

    def __init__(self, look: float = 3.0, patience: float = 180) -> None:
        self.look, self.patience = look, patience

    @property
    def pods(self) -> Pods:
        """The account's pods. Raises ComputeError without a key."""
        if not (key := os.environ.get(KEY)):
            hint = (
                f"make one in RunPod's console, Settings; then export {KEY}=... or put it in .env"
            )
            raise ComputeError(f"{KEY} is not set", where="--on runpod", hint=hint)
        return Pods(Api(key), self.look)

    def check(self, wish: Wish) -> None:
        """The key, the options, the GPU's name, and whether one is free."""
        if spot := [name for name in wish.options if name in SPOT]:
            hint = "--cloud COMMUNITY is the cheaper one"
            raise ComputeError(NO_SPOT, where=f"--option {spot[0]}", hint=hint)
        refuse_options(wish, OPTIONS)
        cloud = _cloud(wish)
        refuse_without_tools()
        gpus = self.pods.api.gpus(cloud, wish.count)
        gpu = pick(gpus, wish.gpu, wish.count, cloud)
        if not has_stock(gpu, self.pods.regions(wish.options)):
            raise no_capacity(gpus, gpu, cloud)

    def price(self, wish: Wish) -> Price:
        """Asked just now; the disk (some cents an hour) is not in it."""
        cloud = _cloud(wish)
        gpus = self.pods.api.gpus(cloud, wish.count)
        gpu = pick(gpus, wish.gpu, wish.count, cloud)
        return Price(dollars(gpu, cloud, wish.count), "live", time.strftime("%Y-%m-%d"))

    def start(self, job: JobFolder, secrets: Mapping[str, str]) -> None:
        """Make the pod or find it again, wait for it, ship, start."""
        pod = self.pods.make(job)
        _refuse_dearer(job, pod)
        if job.state.started is None:  # of the first pod, where one takes another's place
            job.note(started=seconds_of(pod["createdAt"]))
        self._there(job, self.pods.ready(job, pod["id"])).start(secrets)

    def status(self, job: JobFolder) -> Status:
        """How it stands: the pod's state, and in a pod that runs the job's."""
        pod = self._known(job)
        if pod is None:
            return Status("lost", message="its pod is gone", ended=time.time())
        since = job.state.started or seconds_of(pod["createdAt"])
        if pod["status"] == "ERROR":
            said = "; ".join(self.pods.api.said(pod["id"], "system"))
            return Status("lost", message=f"its pod died: {said}", started=since, ended=time.time())
        if pod["status"] != "RUNNING" and job.state.phase != "running":
            return Status("starting", started=since)
        there = self._there(job, self.pods.ready(job, pod["id"]))
        return replace(there.status(), started=since)

    def logs(self, job: JobFolder, offset: int) -> Iterator[tuple[int, str]]:
        """The job's log from a byte on."""
        pod = self._known(job)
        if pod is None:
            raise GoneError("its pod is gone", where=job.id)
        if not pod["ssh"]["direct"]:
            raise ComputeError("its pod does not run", where=job.id)
        return self._there(job, pod).logs(offset)

    def fetch(self, job: JobFolder, runs: Path) -> None:
        """Bring the run folder; from a pod that was stopped, too, which then is ended. One whose
        end is noted here, and whose results are, may end by itself from then on."""
        if job.state.whole and (runs / job.job.run).is_dir():
            return  # its pod may be gone by now
        pod, over = self._known(job), job.state.phase in ENDS
        if pod is None:
            volume = job.job.wish.options.get("volume")
            disk = f"; network volume {volume} has its results" if volume else ", and its disk too"
            raise GoneError(f"its pod is gone{disk}", where=job.id)
        job.note(handle={"home": "no"})
        there = self._there(job, self.pods.ready(job, pod["id"]))
        there.fetch(runs)
        job.note(handle={"home": "yes"}, whole=over)
        if over:
            there.ssh.ask("mark", there.root, "home")
        if job.state.released:
            self._end(job, pod)

    def interrupt(self, job: JobFolder) -> None:
        """Ask it to stop with a checkpoint."""
        job.note(handle={"told": "stop"})
        if (pod := self._known(job)) is not None and pod["ssh"]["direct"]:
            self._there(job, pod).interrupt()

    def renew(self, job: JobFolder) -> bool:
        """Delete the lost pod, so that there are never two, and ship what is here with the next;
        what is in a network volume is newer and stays. A pod that somebody has ended is not
        replaced, nor one that runs and whose results could not be brought."""
        handle, wish, found = job.state.handle, job.job.wish, self.pods.of(job)
        used = int(handle.get("renewed", "0"))
        if used >= wish.retries or "told" in handle or not (found or handle.get("renewing")):
            return False
        if "volume" not in wish.options and _keeps_results(job, found):
            return False
        job.note(handle={"renewing": "yes"})
        for pod in found:
            self.pods.api.terminate(pod["id"])
        if self.pods.of(job):
            raise ComputeError("its lost pod cannot be ended", where=job.id)
        (folder_of(job.id) / "known_hosts").unlink(missing_ok=True)
        fresh = {"pod": "", "home": "", "renewing": "", "renewed": str(used + 1)}
        if "volume" in wish.options:
            job.note(phase="shipping", handle=fresh)
        else:
            take_along(job)
            job.note(phase="shipping", handle=fresh, log_offset=0)
        return True

    def stop(self, job: JobFolder) -> None:
        """Delete the pod; where its results could not be fetched, stop it and keep its disk. A
        network volume is kept in any case."""
        volume = job.job.wish.options.get("volume")
        for pod in (found := self.pods.of(job)):
            if volume and _lacks_results(job):
                job.note(message=f"its results are in the network volume {volume}")
            if not volume and _keeps_results(job, [pod]):
                self.pods.api.act(pod["id"], "stop")
                words = f"its results are on the stopped pod {pod['id']}, whose disk costs a little"
                job.note(message=f"{words}: `tesuji jobs fetch {job.id}` brings them and ends it")
            else:
                self._end(job, pod)
        if found and job.state.started is not None and not job.state.released:
            job.note(ended=time.time())
        if not _lacks_results(job):
            forget(job.id)

    def leftovers(self) -> list[Leftover]:
        """Pods of ours that cost."""
        ours = [pod for pod in self.pods.api.pods() if pod["name"].startswith(PREFIX)]
        return [
            Leftover(pod["id"], pod["name"].removeprefix(PREFIX), float(pod["cost"]))
            for pod in ours
            if pod["cost"] > 0
        ]

    def release(self, leftover: Leftover) -> None:
        """Delete a pod."""
        self.pods.api.terminate(leftover.id)

    def _end(self, job: JobFolder, pod: dict[str, Any]) -> None:
        self.pods.api.terminate(pod["id"])
        forget(job.id)

    def _known(self, job: JobFolder) -> dict[str, Any] | None:
        """The job's pod, by its id; by its name where the id was never heard."""
        if known := job.state.handle.get("pod"):
            return self.pods.api.pod(known)
        return next(iter(self.pods.of(job)), None)

    def _there(self, job: JobFolder, pod: dict[str, Any]) -> OtherSide:
        options, direct = job.job.wish.options, pod["ssh"]["direct"]
        keys = folder_of(job.id)
        address = Address(
            direct["host"], direct["username"], direct["port"], keys / NAME, keys / "known_hosts"
        )
        python = options.get("python", "")
        run = python or options.get("base_python", "python3")
        ssh = Ssh(address, python=run, patience=self.patience)
        again = "renewed" in job.state.handle
        return OtherSide(ssh, job, base=options.get("mount", MOUNT), python=python, again=again)


def _lacks_results(job: JobFolder) -> bool:
    """Whether a fetch was begun and did not come to its end."""
    return job.state.handle.get("home") == "no"


def _keeps_results(job: JobFolder, found: list[dict[str, Any]]) -> bool:
    """Whether one of these pods has on its disk what could not be brought."""
    return _lacks_results(job) and any(pod["status"] in ("RUNNING", "EXITED") for pod in found)


def _refuse_dearer(job: JobFolder, pod: dict[str, Any]) -> None:
    """ComputeError where the pod costs more than was told: prices move between two calls."""
    told, asked = job.job.price.dollars_per_hour, float(pod["cost"])
    if asked > DEARER * told:
        what = f"the pod costs ${asked:.2f} an hour, and ${told:.2f} was told"
        raise ComputeError(what, where=job.id, hint="launch it again, by the price of now")


def _cloud(wish: Wish) -> str:
    cloud = wish.options.get("cloud", "SECURE")
    if cloud.upper() == "SPOT":
        raise ComputeError(NO_SPOT, where="--cloud", hint="--cloud COMMUNITY is the cheaper one")
    if cloud not in CLOUDS:
        raise ComputeError(f"no cloud {cloud!r}", where="--cloud", hint="SECURE or COMMUNITY")
    return cloud
