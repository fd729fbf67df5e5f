"""Bridges to verifiers (`bridge.py`): processes of their own, one a taskset with its options, which
end with this one."""

import atexit
import json
import os
import re
import select
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tesuji.core.errors import EngineError, GameError
from tesuji.core.redact import redact

BRIDGE = Path(__file__).with_name("bridge.py")
VARIABLE = "TESUJI_VERIFIERS_PYTHON"
PATIENCE_S = 180.0
SHOWN = 600  # characters of what a bridge said
INSTALL = (
    "python -m venv .venv-verifiers && .venv-verifiers/bin/pip install verifiers==0.4.0, then "
    f"the option python: .venv-verifiers/bin/python, or {VARIABLE}"
)
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Bridge:
    """One that runs: where it listens, and the key that it wants."""

    process: subprocess.Popen[str]
    url: str
    key: str


_RUNNING: dict[str, Bridge] = {}


def bridge_to(name: str, options: Mapping[str, Any], python: str) -> Bridge:
    """The bridge, which is started where it does not run. Raises GameError where there is no such
    environment or taskset, EngineError where the bridge fails."""
    which = json.dumps([name, dict(options), python, os.getpid()], sort_keys=True)
    bridge = _RUNNING.get(which)
    if bridge is None or bridge.process.poll() is not None:
        bridge = _RUNNING[which] = _started(name, options, python)
    return bridge


def _started(name: str, options: Mapping[str, Any], python: str) -> Bridge:
    python = python or os.environ.get(VARIABLE, "")
    if not Path(python).is_file():
        what = f"there is no Python {python!r}" if python else "no Python with verifiers is named"
        raise GameError(what, where="game.options.python", hint=INSTALL)
    log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
    process = subprocess.Popen(
        [python, "-P", str(BRIDGE), name, json.dumps(dict(options))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={key: value for key, value in os.environ.items() if not _SECRET.search(key)},
        start_new_session=True,  # Ctrl-C is for us; it ends with its standard input
    )
    atexit.register(_end, process)
    told = _first_line(process)
    if "port" in told:
        return Bridge(process, f"http://127.0.0.1:{told['port']}", str(told["key"]))
    _end(process)
    words = told.get("error") or _tail(log) or "it said nothing"
    failed = GameError if "error" in told else EngineError
    raise failed(f"the taskset {name} does not start: {redact(str(words))}", where="game.name")


def _first_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What the bridge says first, a port or an error; nothing where it ends or takes too long."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
    try:
        told = json.loads(process.stdout.readline()) if ready else None
    except ValueError:
        told = None
    return told if isinstance(told, dict) else {}


def _tail(log: IO[str]) -> str:
    log.seek(0)
    return log.read()[-SHOWN:].strip()


def _end(process: subprocess.Popen[str]) -> None:
    if process.stdin is not None and process.poll() is None:
        process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
