"""Small jobs for the stand-in of RunPod, and what a test sees of them."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tiny_jobs import write_recipe

from tesuji.compute.base import Wish
from tesuji.compute.follow import Pace
from tesuji.compute.job.folder import JobFolder
from tesuji.compute.launch import Folders, prepare
from tesuji.compute.runpod.machine import RunpodMachine
from tesuji.recipe.reading.load import load_recipe

QUICK = Pace(look=0.2, fetch=1.0, grace=60.0, tries=2)
A40 = "NVIDIA A40"


def wish(folder: Path, gpu: str = A40, count: int = 1, retries: int = 0, **options: str) -> Wish:
    """What is asked for; the pod's disk is mounted in `folder`."""
    mine = {"python": sys.executable, "mount": str(folder / "workspace")}
    return Wish("runpod", gpu, count, retries=retries, options={**mine, **options})


def make_job(
    folder: Path, machine: RunpodMachine, steps: int = 2, recipe: Any = None, **more: Any
) -> JobFolder:
    """A job that is made and not started."""
    folders = Folders(folder / "jobs", folder / "runs", folder)
    recipe = recipe or load_recipe(write_recipe(folder, steps=steps))
    return prepare(recipe, wish(folder, **more), machine, folders)


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


def there(folder: Path, job: JobFolder) -> Path:
    """The job's folder over there."""
    return folder / "workspace" / "tesuji-jobs" / job.id


def files_with(folder: Path, text: str) -> list[Path]:
    """The files below that hold the text."""
    return [p for p in folder.rglob("*") if p.is_file() and text.encode() in p.read_bytes()]
