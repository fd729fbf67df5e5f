"""The plain text log of a training stage, for people who grep.

SFT TRAINING LOGS
Started: 2026-11-20 19:36:05
--------------------------------------------------
Step 10: {"loss": 1.23, "grad_norm": 0.9, ...}
--------------------------------------------------
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path

from tesuji.core.files import unwritable

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
