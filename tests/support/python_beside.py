"""Pythons of environments that stand beside ours, for packages that bring versions of their own:
made where they are not there yet."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from places import ROOT

PATIENCE_S = 900


def openenv_python() -> str:
    """With OpenEnv's own package; skips the test, with the reason, where it cannot be had."""
    return _python(".venv-openenv", "openenv==0.10.0", "openenv.core.env_server")


def verifiers_python() -> str:
    """With verifiers; skips as above."""
    return _python(".venv-verifiers", "verifiers==0.4.0", "verifiers.v1")


def _python(folder: str, wanted: str, module: str) -> str:
    python, why = _made(folder, wanted, module)
    if why:
        pytest.skip(f"{wanted} cannot be installed: {why}")
    return str(python)


@cache
def _made(folder: str, wanted: str, module: str) -> tuple[Path, str]:
    python = ROOT / folder / "bin" / "python"
    if not _works(python, module):
        make = [sys.executable, "-m", "venv", ROOT / folder]
        subprocess.run(make, check=True, timeout=PATIENCE_S)
        install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", wanted]
        done = subprocess.run(install, capture_output=True, text=True, timeout=PATIENCE_S)
        if done.returncode:
            return python, (done.stderr.strip().splitlines() or ["pip failed"])[-1]
    return python, ""


def _works(python: Path, module: str) -> bool:
    if not python.exists():
        return False
    asked = [python, "-c", f"import {module}"]
    return subprocess.run(asked, capture_output=True, timeout=PATIENCE_S).returncode == 0
