"""The runs of a sweep on rented machines: each is a job of its own."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tesuji.compute.job.folder import JobFolder, all_jobs
from tesuji.core.files import write_text
from tesuji.pipeline.sweep.planned import Planned
from tesuji.pipeline.sweep.processes import Start
from tesuji.recipe.reading.load import dump_recipe


def run_there(folder: Path, jobs: Path, options: Sequence[str]) -> Start:
    """Starts a sweep's runs by `tesuji launch` with these options. A job of the run that is still
    under way is followed again; where only its run folder is here, that is gone on with."""

    def start(run: Planned) -> "subprocess.Popen[bytes]":
        recipe, log = folder / "recipes" / f"{run.name}.yaml", folder / "logs" / f"{run.name}.txt"
        write_text(recipe, dump_recipe(run.recipe))
        log.parent.mkdir(exist_ok=True)
        where = ["--runs", str(folder), "--jobs", str(jobs)]
        words = ["launch", str(recipe), *options, *where]
        if (job := _under_way(run.name, folder, jobs)) is not None:
            words = ["jobs", "attach", job.id, "--jobs", str(jobs), "--stop"]
        elif (folder / run.name).exists():
            words.append("--resume")
        with log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "tesuji", *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    return start


def _under_way(run: str, folder: Path, jobs: Path) -> JobFolder | None:
    runs = str(folder.absolute())
    found = [j for j in all_jobs(jobs) if (j.job.run, j.job.runs) == (run, runs)]
    return found[-1] if found and not found[-1].state.released else None
