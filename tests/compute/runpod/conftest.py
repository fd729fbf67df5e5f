"""The stand-in for RunPod, and the machine that asks it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from runpod_server.server import KEY, RunPod, runpod

from tesuji.compute.runpod import pod as pods
from tesuji.compute.runpod.machine import RunpodMachine


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunPod]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNPOD_API_KEY", KEY)
    monkeypatch.setenv("TESUJI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(pods.LIMITS, "look", 0.2)
    with runpod(tmp_path / "pods") as running:
        monkeypatch.setenv("TESUJI_RUNPOD_URL", running.url)
        yield running


@pytest.fixture
def machine() -> RunpodMachine:
    return RunpodMachine(look=0.05, patience=20)
