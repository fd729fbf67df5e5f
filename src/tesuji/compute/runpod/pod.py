"""The pod of a job: found again by its name, made once, waited for."""

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from tesuji.compute.base import PREFIX, GoneError
from tesuji.compute.job.folder import JobFolder
from tesuji.compute.runpod import guard
from tesuji.compute.runpod.calls import Api, Refused, Unsure
from tesuji.compute.runpod.catalogue import no_capacity, pick
from tesuji.compute.runpod.key import public_key
from tesuji.compute.ssh.other_side import FOLDER
from tesuji.core.errors import ComputeError, did_you_mean
from tesuji.core.files import read_text

IMAGE = "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404"
START = "bash -c 'python3 -c \"$TESUJI_GUARD\" & exec /start.sh'"
MOUNT = "/workspace"
CONTAINER_GB, VOLUME_GB = 30, 50
LIMITS = {"ship": 2700.0, "fetch": 1800.0, "silent": 1800.0, "look": 5.0}  # seconds
SPARE = 7200.0  # seconds that a pod has beyond the run's own
TRIES = 5  # of a creation that nobody answered
COMES_UP = 1500.0  # seconds that an image has to be pulled and started


def name_of(job: str) -> str:
    """What the pod of a job is called."""
    return PREFIX + job


def body_of(
    job: JobFolder, gpu: str, api_url: str, regions: list[str] | None = None
) -> dict[str, Any]:
    """`CreatePodRequest`. No secret stands in it: RunPod shows a pod's environment to whoever may
    read the pod."""
    wish = job.job.wish
    options = wish.options
    mount, volume = options.get("mount", MOUNT), options.get("volume", "")
    limits = {**LIMITS, "most": wish.timeout_hours * 3600 + SPARE, "kept": bool(volume)}
    asked = {"minRamPerGpu": wish.memory_gb, "minVcpuCountPerGpu": wish.cpus}
    least = {key: -int(-value // wish.count) for key, value in asked.items() if value}
    size = max(10, round(wish.disk_gb or VOLUME_GB))
    return {
        "name": name_of(job.id),
        "image": options.get("image", IMAGE),
        "args": START,
        "disk": CONTAINER_GB,
        "ports": ["22/tcp"],
        "startSsh": True,
        "env": {
            "PUBLIC_KEY": public_key(job.id),
            "TESUJI_GUARD": read_text(Path(guard.__file__)),
            "TESUJI_LIMITS": json.dumps(limits),
            "TESUJI_JOB": f"{mount}/{FOLDER}/{job.id}",
            "TESUJI_API": api_url,
        },
        "cloud": options.get("cloud", "SECURE"),
        "gpu": {"id": gpu, "count": wish.count, **least},
        "dataCenterIds": regions or [],
        "mounts": {"network": [{"volumeId": volume, "path": mount}]}
        if volume
        else {"persistent": {"size": size, "path": mount}},
    }


class Pods:
    """Of one account. `look` is the seconds between looks at a pod that comes up."""

    def __init__(self, api: Api, look: float = 3.0) -> None:
        self.api, self.look = api, look

    def of(self, job: JobFolder) -> list[dict[str, Any]]:
        """The pods of a job: one, or none; several where an answer was lost on the way."""
        found = [pod for pod in self.api.pods() if pod["name"] == name_of(job.id)]
        return sorted(found, key=lambda pod: str(pod["createdAt"]))

    def regions(self, options: dict[str, str]) -> list[str]:
        """The data centers that it may be in: those asked for, none: any; with a network volume
        its own. Raises ComputeError where that cannot be."""
        asked = [name for name in options.get("region", "").split(",") if name]
        if (volume := options.get("volume", "")) == "":
            return asked
        where = "--option volume"
        if options.get("cloud", "SECURE") != "SECURE":
            hint = "--cloud SECURE, or a disk of the pod's own"
            raise ComputeError(
                "network volumes are in the SECURE cloud only", where=where, hint=hint
            )
        found = {each["id"]: str(each["dataCenter"]) for each in self.api.volumes()}
        if volume not in found:
            listed = ", ".join(f"{id_} ({place})" for id_, place in found.items()) or "none"
            hint = f"{did_you_mean(volume, found)}there are: {listed}"
            raise ComputeError(f"there is no network volume {volume!r}", where=where, hint=hint)
        if asked and found[volume] not in asked:
            what = f"the network volume {volume} is in {found[volume]}"
            raise ComputeError(what, where="--option region", hint="leave the region away")
        return [found[volume]]

    def make(self, job: JobFolder) -> dict[str, Any]:
        """The job's pod, noted in the job: the one that was made before, or a new one."""
        if known := job.state.handle.get("pod"):
            if (pod := self.api.pod(known)) is None:
                raise ComputeError(f"its pod {known} is gone", where=job.id)
            return pod
        pod = self._first(job) or self._create(job)
        job.note(handle={"pod": pod["id"]})
        return pod

    def _first(self, job: JobFolder) -> dict[str, Any] | None:
        found = self.of(job)
        for double in found[1:]:
            self.api.terminate(double["id"])
        return found[0] if found else None

    def _create(self, job: JobFolder) -> dict[str, Any]:
        wish = job.job.wish
        cloud = wish.options.get("cloud", "SECURE")
        gpu = pick(self.api.gpus(cloud, wish.count), wish.gpu, wish.count, cloud)
        body = body_of(job, gpu["id"], self.api.url, self.regions(wish.options))
        problem = ""
        for attempt in range(TRIES):
            try:
                return self.api.create(body)
            except Unsure as unsure:  # it may be there: look before another one is asked for
                problem = str(unsure)
                time.sleep(self.look * 2**attempt)
                if (found := self._first(job)) is not None:
                    return found
            except Refused as refused:
                if refused.status == 400:
                    raise no_capacity(
                        self.api.gpus(cloud, wish.count), gpu, cloud, refused.what
                    ) from refused
                raise
        raise ComputeError(f"no pod came of {TRIES} tries: {problem}", where="RunPod")

    def ready(self, job: JobFolder, pod_id: str) -> dict[str, Any]:
        """The pod, once ssh can reach it; one that was stopped is started. Raises ComputeError with
        what RunPod says where it does not come up."""
        deadline = time.monotonic() + COMES_UP
        while True:
            pod = self.api.pod(pod_id)
            if pod is None:
                raise GoneError(f"its pod {pod_id} is gone", where=job.id)
            if pod["status"] == "RUNNING" and pod["ssh"]["direct"]:
                return pod
            if pod["status"] == "EXITED":
                self.api.act(pod_id, "start")
            if pod["status"] == "ERROR" or time.monotonic() > deadline:
                raise self._broken(job, pod)
            time.sleep(self.look)

    def _broken(self, job: JobFolder, pod: dict[str, Any]) -> ComputeError:
        said = "; ".join(self.api.said(pod["id"], "system")) or "it says nothing"
        what = f"its pod {pod['id']} does not come up ({pod['status']}): {said}"
        hint = f"the image is {pod['image']}: another is named by --option image=..."
        kind = GoneError if pod["status"] == "ERROR" else ComputeError
        return kind(what, where=job.id, hint=hint)


def seconds_of(stamp: str | None) -> float | None:
    """Epoch seconds of RunPod's times."""
    return datetime.fromisoformat(stamp).timestamp() if stamp else None
