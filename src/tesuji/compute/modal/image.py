"""The container's image: this Python, this environment's versions, this very Tesuji."""

import re
import sys
from importlib import metadata
from pathlib import Path

import modal

from tesuji.compute.job.package import CONSTRAINTS
from tesuji.compute.modal.volumes import CACHE

PLACE = "/tesuji"
ENVIRONMENT = {
    "HF_HOME": f"{CACHE}/huggingface",
    "TORCH_HOME": f"{CACHE}/torch",
    "TORCH_EXTENSIONS_DIR": f"{CACHE}/torch_extensions",
    "VLLM_CACHE_ROOT": f"{CACHE}/vllm",
    "XDG_CACHE_HOME": CACHE,
}
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def image_for(package: Path, wheel: str, extras: list[str], *, gpu: bool) -> modal.Image:
    """Built in three layers, so that a change of Tesuji's code builds only the last: the versions,
    all it needs by them (torch for CUDA where there is a GPU, else for the CPU), the wheel."""
    options = f"--constraint {PLACE}/{CONSTRAINTS}" + ("" if gpu else " --torch-backend cpu")
    return (
        modal.Image.debian_slim(python_version=PYTHON)
        .apt_install("git", "build-essential")
        .env(ENVIRONMENT)
        .add_local_file(package / CONSTRAINTS, f"{PLACE}/{CONSTRAINTS}", copy=True)
        .uv_pip_install(*needed(extras), extra_options=options)
        .add_local_file(package / wheel, f"{PLACE}/{wheel}", copy=True)
        .uv_pip_install(f"{PLACE}/{wheel}", extra_options="--no-deps")
    )


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
