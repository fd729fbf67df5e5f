"""A server on 127.0.0.1 that answers as the Hugging Face Hub does to a push of data or a model.

It knows the requests that huggingface_hub 2.4 makes; the real Hub was never pushed to.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from served import served

TOKEN = "hf_thisisnorealtokenofanyone"
LARGE = (".safetensors", ".gguf")


class Hub:
    """Keeps what is pushed: name → {"private": ..., "files": {path: bytes}}. Large files (in LFS)
    are kept by their content; `fail_after` so many uploads every further one fails."""

    def __init__(self) -> None:
        self.sets: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.large: dict[str, bytes] = {}
        self.gated: set[str] = set()  # models whose licence this account has not accepted
        self.fail_after = 1_000_000
        self.url = ""
        self.app = FastAPI()
        self.app.post("/api/repos/create")(self.create)
        self.app.post("/api/validate-yaml")(self.validate)
        self.app.get("/api/datasets/{owner}/{name}")(self.info)
        self.app.post("/api/datasets/{owner}/{name}/preupload/main")(self.modes)
        self.app.post("/api/datasets/{owner}/{name}/commit/main")(self.commit)
        self.app.get("/api/models/{owner}/{name}")(self.info)
        self.app.get("/api/models/{owner}/{name}/auth-check")(self.auth)
        self.app.post("/api/models/{owner}/{name}/preupload/main")(self.modes)
        self.app.post("/api/models/{owner}/{name}/commit/main")(self.commit)
        self.app.post("/{owner}/{name}.git/info/lfs/objects/batch")(self.batch)
        self.app.put("/lfs/{oid}")(self.upload)
        self.app.middleware("http")(self.check)

    async def check(self, request: Request, go_on: Any) -> Response:
        self.asked.append(f"{request.method} {request.url.path}")
        if request.url.path.startswith("/lfs/"):  # a signed address, without the token
            return await go_on(request)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return JSONResponse({"error": "Invalid user token."}, status_code=401)
        return await go_on(request)

    async def create(self, request: Request) -> Response:
        body = await request.json()
        if body["organization"] == "others":
            return JSONResponse({"error": "You don't have the rights"}, status_code=403)
        name = f"{body['organization']}/{body['name']}"
        url = {"url": f"{self.url}/{'datasets/' if body.get('type') == 'dataset' else ''}{name}"}
        if name in self.sets:
            return JSONResponse({**url, "error": "exists"}, status_code=409)
        private = body.get("visibility") == "private" or bool(body.get("private"))
        self.sets[name] = {"private": private, "files": {}, "type": body.get("type", "model")}
        return JSONResponse(url)

    async def validate(self, request: Request) -> Response:
        body = await request.json()
        bad = [] if body["content"].startswith("---\n") else [{"message": "no metadata"}]
        return JSONResponse({"errors": bad, "warnings": []}, status_code=400 if bad else 200)

    async def info(self, owner: str, name: str) -> Response:
        found = self.sets.get(f"{owner}/{name}")
        if found is None:
            return JSONResponse({"error": "Repository not found"}, status_code=404)
        return JSONResponse({"id": f"{owner}/{name}", "private": found["private"], "sha": "0"})

    async def auth(self, owner: str, name: str) -> Response:
        if f"{owner}/{name}" in self.gated:
            said = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."}
            return JSONResponse({"error": "restricted"}, status_code=403, headers=said)
        if f"{owner}/{name}" not in self.sets:
            said = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
            return JSONResponse({"error": "not found"}, status_code=404, headers=said)
        return JSONResponse({})

    async def modes(self, request: Request) -> Response:
        files = (await request.json())["files"]
        modes = {True: "lfs", False: "regular"}
        shared = {"shouldIgnore": False, "oid": None}
        return JSONResponse(
            {
                "files": [
                    {"path": f["path"], "uploadMode": modes[f["path"].endswith(LARGE)], **shared}
                    for f in files
                ]
            }
        )

    async def batch(self, request: Request) -> Response:
        objects = (await request.json())["objects"]
        for one in objects:
            if one["oid"] not in self.large:
                one["actions"] = {"upload": {"href": f"{self.url}/lfs/{one['oid']}"}}
        return JSONResponse({"transfer": "basic", "objects": objects})

    async def upload(self, oid: str, request: Request) -> Response:
        if len(self.large) >= self.fail_after:
            return JSONResponse({"error": "no more"}, status_code=400)
        self.large[oid] = await request.body()
        return Response()

    async def commit(self, owner: str, name: str, request: Request) -> Response:
        for line in (await request.body()).splitlines():
            item = json.loads(line)
            if item["key"] == "file":
                data = base64.b64decode(item["value"]["content"])
                self.sets[f"{owner}/{name}"]["files"][item["value"]["path"]] = data
            if item["key"] == "lfsFile":
                data = self.large[item["value"]["oid"]]
                self.sets[f"{owner}/{name}"]["files"][item["value"]["path"]] = data
        url = f"{self.url}/datasets/{owner}/{name}/commit/1"
        return JSONResponse({"commitUrl": url, "commitOid": "1" * 40, "success": True})


@contextmanager
def serving() -> Iterator[Hub]:
    hub = Hub()
    with served(hub.app) as address:
        hub.url = address
        yield hub


def run_push(words: list[str], hub: str, home: Path, token: str, offline: str, **said: Any) -> Any:
    """`tesuji WORDS`, in a process of its own: huggingface_hub reads HF_ENDPOINT on import. Large
    files go by LFS: the other protocol (Xet) needs the Hub's own storage."""
    own = {"HF_ENDPOINT": hub, "HF_HUB_OFFLINE": offline, "HF_HOME": str(home), "HF_TOKEN": token,
           "HF_HUB_DISABLE_XET": "1"}  # fmt: skip
    kept = {k: v for k, v in os.environ.items() if k not in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")}
    command = [sys.executable, "-m", "tesuji", *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**kept, **own}, **said
    )


def use_hub(monkeypatch: Any, url: str, home: Path) -> None:
    """Let huggingface_hub of this process push to that server, as `run_push` does of its own."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
