"""The metric log: `metrics.jsonl` always, and any of transformers' trackers beside it.

A line is `{"time": ..., "stage": "sft", "step": 10, "loss": 0.31, ...}`. Trackers get the same
numbers as `sft/loss` over one step axis that runs on through all stages (they refuse steps that
go backwards). Trackers are accelerate's; W&B's offline mode works as everywhere
(`WANDB_MODE=offline`).
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tesuji.core.errors import EngineError
from tesuji.core.files import keep_aside, unwritable, write_text

TRACKER_CLASSES = {
    "tensorboard": "TensorBoardTracker",
    "wandb": "WandBTracker",
    "trackio": "TrackioTracker",
}


class MetricLog:
    """Appends metrics to `folder/metrics.jsonl` and hands them to the trackers named.

    Every line is flushed as it is written; a line torn by a crash is dropped when the log is
    opened again. So are `lost` lines that cannot be read; the file as it was is then kept as
    `metrics.jsonl~1`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        report_to: Sequence[str] = (),
        run_name: str = "tesuji",
        config: Mapping[str, Any] | None = None,
        wandb: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = folder / "metrics.jsonl"
        self.lost = self._drop_damaged_lines()
        self._trackers = [
            _open_tracker(name, folder, run_name, config, wandb or {}) for name in report_to
        ]
        self._offset, self._stage, self._last = 0, "", 0

    def log(self, stage: str, step: int, metrics: Mapping[str, float]) -> None:
        """Record metrics of one step of one stage. Values that are not finite become null."""
        row: dict[str, Any] = {"time": round(time.time(), 3), "stage": stage, "step": step}
        row |= {key: _plain(value) for key, value in metrics.items()}
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise unwritable(self.path, error) from error
        self._track(stage, step, metrics)

    def forget_after(self, stage: str, step: int) -> None:
        """Drop lines of `stage` beyond `step`: a resumed stage writes them again."""
        rows = [row for row in self.rows() if row["stage"] != stage or row["step"] <= step]
        write_text(self.path, "".join(json.dumps(row) + "\n" for row in rows))

    def rows(self) -> list[dict[str, Any]]:
        """All lines so far."""
        return [row for row in map(_row, self._lines()) if row is not None]

    def close(self) -> None:
        """Let the trackers finish."""
        for tracker in self._trackers:
            tracker.finish()
        self._trackers = []

    def _track(self, stage: str, step: int, metrics: Mapping[str, float]) -> None:
        if stage != self._stage:
            self._offset, self._stage = self._last, stage
        self._last = max(self._last, self._offset + step)
        values = {f"{stage}/{key}": value for key, value in metrics.items()}
        for tracker in self._trackers:
            tracker.log(values, step=self._offset + step)

    def _lines(self) -> list[str]:
        text = self.path.read_text("utf-8", errors="replace") if self.path.exists() else ""
        return text.splitlines(keepends=True)

    def _drop_damaged_lines(self) -> int:
        """Write the log anew without what cannot be read; return how many whole lines that is."""
        if self.path.is_dir():
            keep_aside(self.path)
            return 1
        lines = self._lines()
        good = [line for line in lines if line.endswith("\n") and _row(line) is not None]
        if len(good) == len(lines):
            return 0
        lost = len(lines) - len(good) - (not lines[-1].endswith("\n"))
        if lost:
            keep_aside(self.path)
        write_text(self.path, "".join(good))
        return lost


class NoMetrics(MetricLog):
    """Keeps nothing: for the processes that compute beside the one that writes."""

    def __init__(self) -> None:
        self._trackers = []

    def log(self, stage: str, step: int, metrics: Mapping[str, float]) -> None:
        """Nothing is recorded."""

    def forget_after(self, stage: str, step: int) -> None:
        """There is nothing to drop."""

    def rows(self) -> list[dict[str, Any]]:
        """None."""
        return []


def _row(line: str) -> dict[str, Any] | None:
    """The line as it was logged; None for anything else."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(row, dict) and isinstance(row.get("step"), int) and "stage" in row
    return row if whole else None


def _plain(value: float) -> float | None:
    number = float(value)
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and isinstance(value, int) else number


def _open_tracker(
    name: str,
    folder: Path,
    run_name: str,
    config: Mapping[str, Any] | None,
    wandb: Mapping[str, Any],
) -> Any:
    from accelerate import PartialState, tracking

    own = {key: value for key, value in wandb.items() if key != "project"}
    PartialState()  # the trackers ask it which process is the main one
    project, options = {
        "tensorboard": ("tensorboard", {"logging_dir": str(folder)}),
        "wandb": (wandb.get("project", "tesuji"), {"name": run_name, "dir": str(folder), **own}),
        "trackio": ("tesuji", {"name": run_name}),
    }[name]
    tracker = getattr(tracking, TRACKER_CLASSES[name])(project, **options)
    try:
        tracker.start()
        tracker.store_init_configuration(dict(config or {}))
    except ImportError as error:
        raise EngineError(
            f"the tracker {name!r} is not installed",
            where="report_to",
            hint=f"pip install 'tesuji[{name}]', or leave it out of report_to",
        ) from error
    return tracker


RULE = "-" * 50


class TextLog:
    """Writes `<stage>_training_logs_YYYYMMDD_HHMMSS.txt`; a resumed stage starts a new file."""

    def __init__(self, folder: Path, stage: str) -> None:
        stamp = time.strftime("%Y%m%d_%H%M%S")
        self.path = folder / f"{stage}_training_logs_{stamp}.txt"
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        self._append(f"{stage.upper()} TRAINING LOGS\nStarted: {started}\n{RULE}\n")

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add one step's metrics. Raises DataError when the file cannot be written."""
        self._append(f"Step {step}: {json.dumps(dict(metrics))}\n{RULE}\n")

    def _append(self, text: str) -> None:
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise unwritable(self.path, error) from error
