"""RunPod's REST API, version 2: calls that last over limits and short failures, and one message for
each refusal.

Its documents: https://docs.runpod.io/api-reference-v2
"""

import os
import time
from collections.abc import Iterator
from typing import Any

import httpx
from httpx_sse import connect_sse

from tesuji.core.errors import ComputeError
from tesuji.core.redact import redact

URL = "https://api.runpod.io"
KEY = "RUNPOD_API_KEY"
LOST = (httpx.TransportError,)
REFUSALS = {
    401: ("RunPod does not take the key in RUNPOD_API_KEY", "make one in its console, Settings"),
    402: ("RunPod's account has too little money", "add some in its console, Billing"),
    403: ("the key in RUNPOD_API_KEY may not do that", "give it read and write access to pods"),
}
SAID_FOR = 3.0  # seconds that the lines of a log are waited for


class Refused(ComputeError):
    """RunPod said no; `status` is HTTP's."""

    def __init__(self, what: str, status: int, hint: str = "") -> None:
        super().__init__(what, where="RunPod", hint=hint)
        self.status = status


class Unsure(Exception):
    """A call that may have been done or not: its answer never came, or was a failure inside."""


class Api:
    """The calls. `patience` is how many seconds of limits and failures are waited out."""

    def __init__(self, key: str, url: str = "", patience: float = 120) -> None:
        self.url = url or os.environ.get("TESUJI_RUNPOD_URL") or URL
        self.patience = patience
        headers = {"Authorization": f"Bearer {key}"}
        self.http = httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def pods(self) -> list[dict[str, Any]]:
        """All pods of the account."""
        return list(self._call("GET", "/v2/pods")["pods"])

    def pod(self, pod_id: str) -> dict[str, Any] | None:
        """One pod; None where there is none of that id any more."""
        try:
            found = self._call("GET", f"/v2/pods/{pod_id}")
        except Refused as refused:
            if refused.status == 404:
                return None
            raise
        return None if found["status"] == "TERMINATED" else found

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        """A new pod. Raises Unsure where there may be one now although nothing was answered."""
        return self._call("POST", "/v2/pods", body, once=True)

    def act(self, pod_id: str, action: str) -> None:
        """`start` or `stop` a pod; nothing where it is so already, or gone."""
        try:
            self._call("POST", f"/v2/pods/{pod_id}/action", {"action": action})
        except Refused as refused:
            if refused.status not in (404, 409):
                raise

    def terminate(self, pod_id: str) -> None:
        """Delete a pod and its own disk; nothing where it is gone, or just ends by itself."""
        try:
            self._call("DELETE", f"/v2/pods/{pod_id}")
        except Refused as refused:
            ended = refused.status == 409 and self.pod(pod_id) is None
            if refused.status != 404 and not ended:
                raise

    def gpus(self, cloud: str, count: int) -> list[dict[str, Any]]:
        """The catalogue of GPUs with prices and stock."""
        asked: dict[str, Any] = {"include": "AVAILABILITY", "product": "POD", "count": count}
        return list(self._call("GET", "/v2/catalog/gpus", params={**asked, "cloud": cloud})["gpus"])

    def volumes(self) -> list[dict[str, Any]]:
        """The account's network volumes."""
        return list(self._call("GET", "/v2/network-volumes")["networkVolumes"])

    def said(self, pod_id: str, source: str, lines: int = 5) -> list[str]:
        """The last lines of a pod's log; none where they do not come."""
        kept: list[str] = []
        try:
            for line in self.log(pod_id, source, lines):
                kept.append(line)
        except (*LOST, httpx.HTTPError):
            pass
        return [redact(line) for line in kept[-lines:]]

    def log(self, pod_id: str, source: str, tail: int) -> Iterator[str]:
        """The lines of a pod's log as they come, until none comes for a while. Where the stream
        breaks off it is taken up after the last line."""
        last, until = "", time.monotonic() + SAID_FOR
        asked = {"source": source, "tail": str(tail)}
        while time.monotonic() < until:
            headers = {"Last-Event-ID": last} if last else {}
            try:
                with connect_sse(
                    self.http,
                    "GET",
                    f"/v2/pods/{pod_id}/logs",
                    params=asked,
                    headers=headers,
                    timeout=SAID_FOR / 3,
                ) as stream:
                    for event in stream.iter_sse():
                        last = event.id
                        yield str(event.json()["line"])
            except httpx.ReadTimeout:
                return  # nothing more is said
            except LOST:
                time.sleep(0.1)

    def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: dict[str, Any] | None = None,
        once: bool = False,
    ) -> Any:
        pause, deadline = 1.0, time.monotonic() + self.patience
        while True:
            try:
                answer = self.http.request(method, path, json=body, params=params)
            except LOST as error:
                wait, problem = pause, f"cannot be reached: {error}"
            else:
                if answer.status_code < 400:
                    return answer.json() if answer.content else None
                wait = _wait(answer, pause)
                problem = f"{answer.status_code}: {_detail(answer)}"
                if answer.status_code != 429 and answer.status_code < 500:
                    raise _refusal(answer)
            if once and not problem.startswith("429"):
                raise Unsure(redact(problem))
            if time.monotonic() + wait > deadline:
                hint = f"nothing came of it for {self.patience:.0f} s; try again later"
                raise ComputeError(redact(problem), where="RunPod", hint=hint)
            time.sleep(wait)
            pause = min(2 * pause, 20)


def _wait(answer: httpx.Response, pause: float) -> float:
    """Seconds until the next try: what `Retry-After` says, else the pause."""
    said = answer.headers.get("retry-after", "")
    return float(said) if said.isdecimal() else pause


def _detail(answer: httpx.Response) -> str:
    """What a problem (RFC 9457) says, in one line."""
    try:
        found = answer.json()
        more = "; ".join(found.get("errors", []))
        return redact(f"{found.get('detail') or found.get('title', '')}{f' ({more})' * bool(more)}")
    except (ValueError, AttributeError):
        return redact(answer.text[:200])


def _refusal(answer: httpx.Response) -> Refused:
    what, hint = REFUSALS.get(answer.status_code, ("", ""))
    detail = _detail(answer)
    words = f"{what}: {detail}" if what else f"it refuses ({answer.status_code}): {detail}"
    return Refused(words, answer.status_code, hint)
