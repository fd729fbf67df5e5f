"""The Python of an environment that has OpenEnv's own package, made where it is not there yet.

It brings some 230 packages of versions of its own, so that it stands beside ours (.venv-openenv).
"""

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from places import ROOT

WANTED = "openenv==0.10.0"
FOLDER = ROOT / ".venv-openenv"
PATIENCE_S = 900


def openenv_python() -> str:
    """Its path; skips the test, with the reason, where it cannot be had."""
    python, why = _made()
    if why:
        pytest.skip(f"{WANTED} cannot be installed: {why}")
    return str(python)


@cache
def _made() -> tuple[Path, str]:
    python = FOLDER / "bin" / "python"
    if not _works(python):
        subprocess.run([sys.executable, "-m", "venv", FOLDER], check=True, timeout=PATIENCE_S)
        install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", WANTED]
        done = subprocess.run(install, capture_output=True, text=True, timeout=PATIENCE_S)
        if done.returncode:
            return python, (done.stderr.strip().splitlines() or ["pip failed"])[-1]
    return python, ""


def _works(python: Path) -> bool:
    if not python.exists():
        return False
    asked = [python, "-c", "import openenv.core.env_server"]
    return subprocess.run(asked, capture_output=True, timeout=PATIENCE_S).returncode == 0
