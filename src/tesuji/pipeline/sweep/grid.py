"""A sweep over a grid: runs that are known beforehand, one after the other."""

from collections.abc import Sequence
from pathlib import Path

from tesuji.core.errors import TesujiError
from tesuji.pipeline.sweep.planned import Planned
from tesuji.report.compare.figures import figure_of

STOPPED = 130  # the exit code of a program that Ctrl-C has ended


class Grid:
    """Hands out the runs that have steps left, and keeps which of them failed."""

    def __init__(self, runs: Sequence[Planned], folder: Path, metric: str = "") -> None:
        self._waiting = [run for run in runs if run.left]
        self._folder, self._metric = folder, metric
        self.failed: list[str] = []

    def next(self) -> Planned | None:
        """The next run that is not done yet."""
        return self._waiting.pop(0) if self._waiting else None

    def ended(self, run: Planned, code: int) -> str:
        """What came of it, in words."""
        if code:
            self.failed.append(run.name)
            return failure(self._folder, run, code)
        if not self._metric:
            return "done"
        try:
            return f"{self._metric} {figure_of(self._folder / run.name, self._metric):.4g}"
        except TesujiError as error:
            return f"done, but {error.what}"


def failure(folder: Path, run: Planned, code: int) -> str:
    """Why a run failed, as its log has it at the end."""
    log = folder / "logs" / f"{run.name}.txt"
    lines = log.read_text("utf-8", errors="replace").split("error: ")[-1].splitlines()
    words = next((line.strip() for line in lines if line.strip()), "")
    return f"failed with exit code {code}: {words[:200]} (see {log})"
