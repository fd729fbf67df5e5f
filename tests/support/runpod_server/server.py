"""RunPod's REST API, version 2, as its documents of 2026-08-20 describe it, on 127.0.0.1.

The states and calls of pods, the catalogue of GPUs, the account's ssh keys, network volumes, logs
as server-sent events, problems by RFC 9457, rate limits in headers. The real one was never asked.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from served import served

from runpod_server import catalog
from runpod_server.bodies import Action, NewPod, NewVolume, SshKeys, rule_broken
from runpod_server.pod import FREE, Pod

KEY = "rpa_thisisnorealkeyofanyone"
TITLES = {400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden"}
TITLES |= {404: "Not Found", 409: "Conflict", 422: "Unprocessable Entity"}
TITLES |= {429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable"}
NO_CAPACITY = "There are no instances currently available"


@dataclass
class Fault:
    """The next `times` calls that match `call` ("POST /v2/pods") are answered with `status`; if
    `done`, what was asked for is done all the same."""

    call: str
    status: int
    detail: str = "injected"
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    done: bool = False


class RunPod:
    """The service. `made` counts the pods that were ever created; `asked` holds every call."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pods: dict[str, Pod] = {}
        self.volumes: dict[str, dict[str, Any]] = {}
        self.keys: list[str] = []
        self.faults: list[Fault] = []
        self.asked: list[str] = []
        self.wait = 0.05
        self.image_ok = True
        self.most_at_once = 0  # pods that cost at one moment
        self.disk_bytes = 0  # what the disk of a pod holds at most, where there is a limit
        self.dearer = 1.0  # by how many times all is dearer than in the catalogue of before
        self.break_logs_after = 0  # so many events of a stream, once
        self.url = ""
        self.app = FastAPI()
        self._routes()

    @property
    def made(self) -> int:
        return len(self.pods)

    def costing(self) -> list[Pod]:
        """The pods that cost money now."""
        return [pod for pod in self.pods.values() if pod.status not in FREE]

    def close(self) -> None:
        """Switch off whatever a test has left."""
        for pod in self.pods.values():
            pod.act("terminate")

    def _routes(self) -> None:
        app = self.app
        app.get("/v2/pods")(self.list_pods)
        app.post("/v2/pods")(self.create)
        app.get("/v2/pods/{pod_id}")(self.get)
        app.delete("/v2/pods/{pod_id}")(self.delete)
        app.post("/v2/pods/{pod_id}/action")(self.action)
        app.get("/v2/pods/{pod_id}/logs")(self.logs)
        app.get("/v2/catalog/gpus")(self.gpus)
        app.get("/v2/account/ssh-keys")(self.get_keys)
        app.put("/v2/account/ssh-keys")(self.put_keys)
        app.get("/v2/network-volumes")(self.list_volumes)
        app.post("/v2/network-volumes")(self.create_volume)
        app.middleware("http")(self.check)
        app.exception_handler(RequestValidationError)(self.invalid)

    async def check(self, request: Request, go_on: Any) -> Response:
        call = f"{request.method} {request.url.path}"
        self.asked.append(call)
        if not self._may(request):
            return problem(401, "missing or invalid bearer token")
        fault = next((f for f in self.faults if f.times and re.fullmatch(f.call, call)), None)
        if fault is not None:
            fault.times -= 1
            if fault.done:
                await go_on(request)
            return problem(fault.status, fault.detail, fault.headers)
        answer: Response = await go_on(request)
        answer.headers["RateLimit"] = '"minute";r=59;t=12'
        answer.headers["RateLimit-Policy"] = '"minute";q=60;w=60'
        return answer

    def _may(self, request: Request) -> bool:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        owner = next((pod for pod in self.pods.values() if pod.key == key), None)
        return key == KEY or (owner is not None and f"/v2/pods/{owner.id}" in request.url.path)

    async def invalid(self, request: Request, error: Any) -> Response:
        errors = [f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors()]
        return problem(422, "Request validation failed.", errors=errors)

    def list_pods(self) -> Any:
        return {"pods": [p.as_json() for p in self.pods.values() if p.status != "TERMINATED"]}

    def create(self, body: NewPod) -> Response:
        if broken := rule_broken(body):
            return problem(400, broken)
        if body.gpu is None or body.gpu.id not in catalog.TYPES:
            return problem(400, "unknown gpu type")
        for mount in body.mounts.network or []:
            volume = self.volumes.get(mount.volumeId)
            if volume is None or volume["dataCenter"] not in (body.dataCenterIds or [None]):
                return problem(400, "network volume not found in the requested data centers")
        kind = catalog.gpu(body.gpu.id, stock=True)
        if kind["availability"] == "NONE" or (body.cloud == "COMMUNITY" and not kind["community"]):
            return problem(400, NO_CAPACITY)
        price = kind["price"][body.cloud.lower()] * body.gpu.count * self.dearer
        pod = Pod(body, self.folder, price, self.wait, self.image_ok, self.disk_bytes)
        self.pods[pod.id] = pod
        self.most_at_once = max(self.most_at_once, len(self.costing()))
        return JSONResponse(pod.as_json(), status_code=201)

    def _pod(self, pod_id: str) -> Pod | None:
        pod = self.pods.get(pod_id)
        return pod if pod is not None and pod.status != "TERMINATED" else None

    def get(self, pod_id: str) -> Response:
        pod = self._pod(pod_id)
        return problem(404, "pod not found") if pod is None else JSONResponse(pod.as_json())

    def delete(self, pod_id: str) -> Response:
        return self._act(pod_id, "terminate")

    def action(self, pod_id: str, body: Action) -> Response:
        return self._act(pod_id, body.action)

    def _act(self, pod_id: str, action: str) -> Response:
        if (pod := self._pod(pod_id)) is None:
            return problem(404, "pod not found")
        if not pod.act(action):
            return problem(409, f"action {action} is not valid for a pod that is {pod.status}")
        return Response(status_code=204) if action == "terminate" else JSONResponse(pod.as_json())

    async def logs(
        self, request: Request, pod_id: str, source: str | None = None, tail: int = 100
    ) -> Response:
        if (pod := self._pod(pod_id)) is None:
            return problem(404, "pod not found")
        after = request.headers.get("last-event-id", "")
        stream = self._events(request, pod, source, tail, after)
        return StreamingResponse(stream, media_type="text/event-stream")

    async def _events(
        self, request: Request, pod: Pod, source: str | None, tail: int, after: str
    ) -> AsyncIterator[str]:
        kept = [e for e in pod.logs if source in (None, e["source"])]
        at = sum(_event_id(n, e) <= after for n, e in enumerate(kept)) if after else None
        at = max(0, len(kept) - tail) if at is None else at
        sent = 0
        while not await request.is_disconnected():
            kept = [e for e in pod.logs if source in (None, e["source"])]
            for number, event in list(enumerate(kept))[at:]:
                yield f"id: {_event_id(number, event)}\ndata: {json.dumps(event)}\n\n"
                at, sent = number + 1, sent + 1
                if sent == self.break_logs_after:
                    self.break_logs_after = 0
                    raise ConnectionResetError("the stream breaks off")
            if pod.status == "TERMINATED":
                return
            await asyncio.sleep(0.02)

    def gpus(self, include: str = "", product: str = "", cloud: str = "", count: int = 1) -> Any:
        if (include == "AVAILABILITY") != bool(product):
            return problem(400, "product is required with include=AVAILABILITY, and only with it")
        stock = include == "AVAILABILITY"
        found = [catalog.gpu(kind, stock=stock) for kind in catalog.TYPES]
        for one in found:
            one["price"] = {cloud: each * self.dearer for cloud, each in one["price"].items()}
        return {"gpus": found}

    def get_keys(self) -> Any:
        return {"keys": self.keys}

    def put_keys(self, body: SshKeys) -> Any:
        self.keys = body.keys
        return {"keys": self.keys}

    def list_volumes(self) -> Any:
        return {"networkVolumes": list(self.volumes.values())}

    def create_volume(self, body: NewVolume) -> Response:
        volume = {"id": f"vol{len(self.volumes)}", **body.model_dump()}
        self.volumes[volume["id"]] = volume
        return JSONResponse(volume, status_code=201)


def _event_id(number: int, event: dict[str, str]) -> str:
    return f"{event['ts']}/{number:012d}"


def problem(
    status: int,
    detail: str,
    headers: dict[str, str] | None = None,
    errors: list[str] | None = None,
) -> Response:
    """RFC 9457."""
    body = {"title": TITLES.get(status, "Error"), "status": status, "detail": detail}
    body |= {"errors": errors} if errors else {}
    media = "application/problem+json"
    return JSONResponse(body, status_code=status, headers=headers, media_type=media)


@contextmanager
def runpod(folder: Path) -> Iterator[RunPod]:
    """The service, while it runs; its pods end with it."""
    service = RunPod(folder)
    with served(service.app) as url:
        service.url = url
        try:
            yield service
        finally:
            service.close()
