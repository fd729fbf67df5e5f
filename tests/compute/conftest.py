"""What the tests of several machines share."""

import fcntl
from pathlib import Path

import pytest
from poker_jobs import run_here


@pytest.fixture(scope="session")
def poker_here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of the short poker recipe, run on this machine: once for all workers."""
    shared = tmp_path_factory.getbasetemp()
    if shared.name.startswith("popen-"):  # a worker of pytest-xdist
        shared = shared.parent
    with (shared / "poker.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = shared / "poker" / "done"
        if not done.exists():
            run_here(shared / "poker")
            done.touch()
    return shared / "poker" / "poker-short"
