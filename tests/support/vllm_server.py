"""A stand-in for a vLLM server: what it answers at the addresses that Tesuji asks, computed with
the real weights that it is handed, in files, by name or in place. `tests/engines` compares its
answers with the real server's.

    python vllm_server.py --model FOLDER --port 8001
"""

import argparse
import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from peft import PeftModel
from safetensors.torch import load_file
from served import served
from transformers import AutoModelForCausalLM

LOADING = threading.Lock()  # two servers of one process: loading is not for several threads

Fault = Callable[[int, dict[str, Any]], Response | float | None]
"""(how many generations came before, the body) → an answer in place of the right one, or seconds
to hang, or None."""


class VllmServer:
    """Serves the model in `folder`; `seen` are the requests in order, `bodies` the generations."""

    def __init__(self, folder: Path | str, fault: Fault = lambda number, body: None) -> None:
        self.folder, self.fault = folder, fault
        self.models: dict[str, Any] = {"policy": self._load(folder)}
        self.weights = "default"
        self.seen: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.url = ""
        self.app = FastAPI()
        self.app.middleware("http")(self._note)
        self.app.get("/health")(lambda: Response())
        self.app.get("/v1/models")(self.list_models)
        for path in ("/pause", "/resume", "/reset_prefix_cache"):
            self.app.post(path)(lambda: {"success": True})
        for path in ("/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/collective_rpc"):
            self.app.post(path)(getattr(self, path.rpartition("/")[2]))
        self.app.post("/update_weight_version")(self.update_weight_version)
        self.app.post("/inference/v1/generate")(self.generate)

    @staticmethod
    def _load(folder: Path | str) -> Any:
        """All files of weights count, as for vLLM."""
        model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()
        for file in Path(folder).glob("*.safetensors"):
            model.load_state_dict(load_file(file), strict=False)
        return model

    async def _note(self, request: Request, go_on: Any) -> Any:
        self.seen.append(request.url.path)
        return await go_on(request)

    def list_models(self) -> Any:
        return {
            "object": "list",
            "data": [
                {"id": name, "object": "model", "parent": None if name == "policy" else "policy"}
                for name in self.models
            ],
        }

    async def load_lora_adapter(self, request: Request) -> Response:
        body = await request.json()
        if body["lora_name"] in self.models:
            return refusal(400, "has already been loaded")
        with LOADING:
            adapter = PeftModel.from_pretrained(self._load(self.folder), body["lora_path"]).eval()
        self.models[body["lora_name"]] = adapter
        return PlainTextResponse(f"Success: LoRA adapter '{body['lora_name']}' added successfully.")

    async def unload_lora_adapter(self, request: Request) -> Response:
        name = (await request.json())["lora_name"]
        if self.models.pop(name, None) is None:
            return refusal(404, f"The lora adapter '{name}' cannot be found.")
        return PlainTextResponse(f"Success: LoRA adapter '{name}' removed successfully.")

    async def collective_rpc(self, request: Request) -> Any:
        body = await request.json()
        assert body["method"] == "reload_weights"
        with LOADING:
            self.models["policy"] = self._load(body["kwargs"]["weights_path"])
        return {"results": [None]}

    async def update_weight_version(self, request: Request) -> Any:
        self.weights = (await request.json())["new_version"]
        return {"success": True, "new_version": self.weights}

    async def generate(self, request: Request) -> Any:
        body = await request.json()
        self.bodies.append(body)
        wrong = self.fault(len(self.bodies) - 1, body)
        if isinstance(wrong, Response):
            return wrong
        if wrong is not None:
            await asyncio.sleep(wrong)
        if body["model"] not in self.models:
            return refusal(404, f"The model `{body['model']}` does not exist.")
        ids, places, stopped = self._reply(body)
        choice = {
            "index": 0,
            "finish_reason": "stop" if stopped else "length",
            "token_ids": ids,
            "weight_versions": [{"version": self.weights, "start": 0, "end": len(ids)}],
            "logprobs": {"content": places},
        }
        return {"model": body["model"], "output_mode": "tokens", "choices": [choice]}

    @torch.inference_mode()
    def _reply(self, body: dict[str, Any]) -> tuple[list[int], list[dict[str, Any]], bool]:
        params, ids = body["sampling_params"], list(body["token_ids"])
        draw = torch.Generator().manual_seed(params.get("seed", torch.seed()) % 2**63)
        new, places = [], []
        for _ in range(params["max_tokens"]):
            logits = self.models[body["model"]](torch.tensor([ids + new])).logits[0, -1]
            logprobs = processed(logits, params["temperature"], params["top_p"])
            greedy = params["temperature"] == 0
            probs = logprobs.exp()
            token = int(probs.argmax() if greedy else torch.multinomial(probs, 1, generator=draw))
            new.append(token)
            places.append(place_of(token, logprobs, params))
            if token in params.get("stop_token_ids", ()):
                return new, places, True
        return new, places, False


def processed(logits: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    """`--logprobs-mode processed_logprobs`: those of the distribution that is sampled from."""
    logprobs = (logits / (temperature or 1.0)).log_softmax(-1)
    ordered, order = logprobs.sort(descending=True)
    cut = ordered.exp().cumsum(-1) - ordered.exp() >= top_p
    cut[0] = False
    kept = ordered.masked_fill(cut, -torch.inf)
    return torch.empty_like(logprobs).scatter_(-1, order, kept).log_softmax(-1)


def place_of(token: int, logprobs: torch.Tensor, params: dict[str, Any]) -> dict[str, Any]:
    """The drawn token first, then those asked for, and no more in all than `logprobs` says."""
    listed = {token: None, **dict.fromkeys(params.get("logprob_token_ids", ()))}
    top = [{"token_id": one, "logprob": float(logprobs[one])} for one in listed]
    return {**top[0], "top_logprobs": top[: max(params["logprobs"], 1)]}


def refusal(status: int, words: str) -> JSONResponse:
    error = {"message": words, "type": "Error", "code": status}
    return JSONResponse({"error": error}, status_code=status)


@contextmanager
def serving(folder: Path | str, fault: Fault = lambda number, body: None) -> Iterator[VllmServer]:
    server = VllmServer(folder, fault)
    with served(server.app) as server.url:
        yield server


def python_with_it(folder: Path) -> Path:
    """A program that is asked like the Python of vLLM's environment, and starts the stand-in."""
    import sys

    script = folder / "python"
    script.write_text(
        '#!/bin/sh\n[ "$1" = -I ] && exit 0\nshift 2\n'
        f'exec {sys.executable} {Path(__file__).resolve()} "$@"\n'
    )
    script.chmod(0o755)
    return script


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model")
    parser.add_argument("--port", type=int)
    given, _ = parser.parse_known_args()
    uvicorn.run(VllmServer(given.model).app, host="127.0.0.1", port=given.port, log_level="error")
