"""`tesuji doctor --for modal|runpod|gpu`: what that needs beside the rest, and the command that
mends what is missing."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from tesuji.cli.doctor.findings import Finding, installed
from tesuji.core.errors import ComputeError, RecipeError, TesujiError, did_you_mean
from tesuji.recipe.schema.recipe import Recipe

SHARED_MEMORY = Path("/dev/shm")
LEAST_SHARED_GB = 1.0
BYTES_OF_A_CHECKPOINT = 10  # of a parameter: weights in two bytes, Adam's two moments in eight
GATED = "https://huggingface.co/"


def purposes() -> dict[str, Callable[[Recipe | None, Path], Iterator[Finding]]]:
    """What `--for` takes."""
    return {"modal": _modal, "runpod": _runpod, "gpu": _gpu}


def findings_for(purpose: str, recipe: Recipe | None, runs: Path) -> Iterator[Finding]:
    """What one purpose needs; with a recipe also its model. Raises RecipeError for another word."""
    known = purposes()
    if purpose not in known:
        hint = f"{did_you_mean(purpose, known)}one of: {', '.join(known)}"
        raise RecipeError(f"nothing is known of {purpose!r}", where="--for", hint=hint)
    yield from known[purpose](recipe, runs)
    if recipe is not None:
        yield from _model(recipe, runs if purpose == "gpu" else None)


def _modal(recipe: Recipe | None, runs: Path) -> Iterator[Finding]:
    words = "pip install 'tesuji[modal]'"
    yield installed("modal", Finding("modal", "bad", f"missing: {words}"))
    key = _key(("MODAL_TOKEN_ID", "MODAL_TOKEN_SECRET"), Path("~/.modal.toml"), "modal token new")
    yield key
    if key.state == "ok":
        yield _answers("modal")


def _runpod(recipe: Recipe | None, runs: Path) -> Iterator[Finding]:
    words = "pip install 'tesuji[runpod]'"
    yield installed("httpx", Finding("httpx", "bad", f"missing: {words}"))
    where = "https://console.runpod.io/user/settings, then export RUNPOD_API_KEY=..."
    key = _key(("RUNPOD_API_KEY",), None, where)
    yield key
    yield _program("ssh", "results come by ssh: install OpenSSH's client")
    if key.state == "ok":
        yield _answers("runpod")


def _gpu(recipe: Recipe | None, runs: Path) -> Iterator[Finding]:
    yield _driver()
    yield _cuda()
    yield _shared_memory()
    yield installed("deepspeed", _optional("deepspeed", "zero1 to zero3", "deepspeed"))
    yield installed("bitsandbytes", _optional("bitsandbytes", "4-bit models", "quantize"))
    yield _vllm(recipe)


def _key(names: tuple[str, ...], file: Path | None, mend: str) -> Finding:
    """Whether a service's keys are here; never what they are."""
    part = " and ".join(names)
    if all(os.environ.get(name) for name in names):
        return Finding(part, "ok", "set")
    if file is not None and file.expanduser().is_file():
        return Finding(part, "ok", f"in {file}")
    return Finding(part, "bad", f"not set: {mend}")


def _answers(kind: str) -> Finding:
    """Whether the service takes the key, and what of ours still costs there."""
    from tesuji.compute.registry import machine_for

    try:
        left = machine_for(kind).leftovers()
    except ComputeError as error:
        return Finding(f"{kind} answers", "bad", str(error).replace("\n  →", ";"))
    held = f"; {len(left)} machines of ours are held: tesuji jobs sweep" if left else ""
    return Finding(f"{kind} answers", "warning" if left else "ok", f"the key is taken{held}")


def _program(name: str, mend: str) -> Finding:
    path = shutil.which(name)
    return Finding(name, "ok", path) if path else Finding(name, "bad", f"missing; {mend}")


def _driver() -> Finding:
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        words = (
            "nvidia-smi does not answer: no NVIDIA GPU, or no driver (a pod needs one with CUDA)"
        )
        return Finding("driver", "bad", words)
    return Finding("driver", "ok", "; ".join(told.stdout.strip().splitlines()))


def _cuda() -> Finding:
    """Whether torch can use the GPU, and in bfloat16."""
    import torch

    if torch.version.cuda is None:
        mend = "pip install --force-reinstall torch, without an index for CPUs"
        return Finding("torch and CUDA", "bad", f"torch {torch.__version__} is for CPUs: {mend}")
    if not torch.cuda.is_available():
        words = f"torch is for CUDA {torch.version.cuda} and sees no GPU: a newer driver, or an"
        return Finding("torch and CUDA", "bad", f"{words} older torch; see driver above")
    half = torch.cuda.is_bf16_supported()
    words = f"CUDA {torch.version.cuda}, {torch.cuda.device_count()} GPUs"
    slow = ", no bfloat16: `dtype: float32`, or a newer GPU"
    return Finding("torch and CUDA", "ok" if half else "warning", words + ("" if half else slow))


def _shared_memory() -> Finding:
    if not SHARED_MEMORY.is_dir():
        return Finding("shared memory", "absent", f"no {SHARED_MEMORY} here")
    total = shutil.disk_usage(SHARED_MEMORY).total / 1e9
    if total >= LEAST_SHARED_GB:
        return Finding("shared memory", "ok", f"{total:.0f} GB")
    words = f"{total * 1e3:.0f} MB: several processes need more; docker run --shm-size=8g"
    return Finding("shared memory", "warning", words)


def _optional(name: str, what: str, extra: str) -> Finding:
    return Finding(name, "absent", f"for {what}: pip install 'tesuji[{extra}]'")


def _vllm(recipe: Recipe | None) -> Finding:
    """vLLM stands in an environment of its own; a recipe that wants it says where."""
    wanted = recipe is not None and recipe.sampling.engine == "vllm"
    python = recipe.sampling.engine_python if recipe is not None else None
    mend = "python -m venv ~/vllm && ~/vllm/bin/pip install vllm; sampling.engine_python names it"
    if python is None:
        return Finding("vllm", "bad" if wanted else "absent", f"for fast sampling: {mend}")
    try:
        asked = [python, "-c", "from importlib import metadata; print(metadata.version('vllm'))"]
        told = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return Finding("vllm", "bad", f"{python} has no vllm: {mend}")
    return Finding("vllm", "ok", told.stdout.strip())


def _model(recipe: Recipe, runs: Path | None) -> Iterator[Finding]:
    """Whether the recipe's model can be had here, and fits on the disk."""
    base = recipe.model.base
    if Path(base).exists() or "/" not in base:
        yield Finding("model", "ok", f"{base} needs no download from the Hub, or is known by name")
        return
    yield _licence(base)
    if runs is not None:
        yield _room(recipe, runs)


def _licence(base: str) -> Finding:
    """Whether the Hub gives us the model: some ask that their licence is accepted first."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        HfApi().auth_check(base)
    except GatedRepoError:
        mend = f"accept its licence at {GATED}{base} with the account of HF_TOKEN"
        return Finding("model", "bad", f"{base} is gated, and not given to you yet: {mend}")
    except RepositoryNotFoundError:
        words = f"the Hub has no {base}, or it is private: export HF_TOKEN=... of who may read it"
        return Finding("model", "bad", words)
    except Exception as error:  # the network's, of whichever library the Hub's client uses
        return Finding("model", "warning", f"the Hub does not answer ({type(error).__name__})")
    return Finding("model", "ok", f"the Hub gives {base}")


def _room(recipe: Recipe, runs: Path) -> Finding:
    """Room for the download, and for a run's checkpoints at the worst: two whole ones."""
    from tesuji.pipeline.memory.published import facts_of

    try:
        size = facts_of(recipe.model)[0].parameters
    except TesujiError as error:
        return Finding("disk for it", "warning", f"its size is not known: {error.what}")
    folder = next(path for path in (runs.absolute(), *runs.absolute().parents) if path.exists())
    needed = size * (2 + 2 * BYTES_OF_A_CHECKPOINT) / 1e9
    free = shutil.disk_usage(folder).free / 1e9
    words = f"{free:.0f} GB free, up to {needed:.0f} GB needed (LoRA: {size * 2 / 1e9:.0f})"
    return Finding("disk for it", "ok" if free >= needed else "warning", words)
