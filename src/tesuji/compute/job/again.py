"""A job that is started again on another machine takes along what has come of it."""

import shutil
import time
from pathlib import Path

from tesuji.compute.job.folder import JobFolder
from tesuji.compute.remote import HEARTBEAT, RUNS
from tesuji.core.files import HALF, discard, write_json


def take_along(job: JobFolder) -> None:
    """Put the run folder that is here into what is shipped, and since when the job runs: its limits
    count from there. Whole or as before; may be called again."""
    run = Path(job.job.runs) / job.job.run
    if run.is_dir():
        aside = job.path / f".{RUNS}{HALF}"
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(run, aside / job.job.run, symlinks=True)
        discard(job.package / RUNS)
        aside.rename(job.package / RUNS)
    if (began := job.state.started) is not None:
        write_json(job.package / HEARTBEAT, {"started": began, "at": time.time()})
