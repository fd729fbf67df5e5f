"""What runs in Modal's container: the job's order, its log shown, its volume committed.

The package stands in the volume at /outputs/JOB, and what the run makes is written there.
"""

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import modal

from tesuji.compute.modal.volumes import OUTPUTS
from tesuji.compute.remote import EXIT, IN_WORDS, LOG, STOP, run_order

EVERY = 5.0  # seconds between looks: whether to stop, what was said, what to commit


def run_job(job: str, volume: str, most_seconds: float) -> dict[str, Any]:
    """Run the job, or go on with it; what its exit.json says. It is told to stop, with a
    checkpoint, by a file `stop` in the volume, or after `most_seconds` of this container.

    A container that Modal takes away is interrupted first: the run writes its checkpoint, and this
    ends without an answer, so that Modal gives the job to another container, where it goes on.
    """
    outputs = modal.Volume.from_name(volume, version=2)
    folder = Path(OUTPUTS) / job
    watch = _Watch(folder, outputs, f"{job}/{STOP}", time.monotonic() + most_seconds)
    watch.start()
    try:
        ended = run_order(folder)
    finally:
        watch.end()
    told = ended["message"].startswith(IN_WORDS["asked"])
    if taken := told and not (folder / STOP).exists():
        (folder / EXIT).unlink()
    outputs.commit()
    if taken:
        raise KeyboardInterrupt
    return ended


class _Watch(threading.Thread):
    """Beside the run: shows its log as Modal's log, commits, and stops it when it is told to."""

    def __init__(self, folder: Path, volume: modal.Volume, sign: str, until: float) -> None:
        super().__init__(daemon=True)
        self._folder, self._volume, self._sign, self._until = folder, volume, sign, until
        self._over = threading.Event()
        log = folder / LOG
        self._shown = log.stat().st_size if log.exists() else 0

    def run(self) -> None:
        while not self._over.wait(EVERY):
            self._show()
            with suppress(modal.exception.Error, RuntimeError):
                self._volume.commit()
            if self._is_told() and not (self._folder / STOP).exists():
                (self._folder / STOP).touch()
                os.kill(os.getpid(), signal.SIGINT)

    def end(self) -> None:
        """Show what is left and be done."""
        self._over.set()
        self.join()
        self._show()

    def _is_told(self) -> bool:
        if time.monotonic() >= self._until:
            return True
        try:
            return bool(b"".join(self._volume.read_file(self._sign)))
        except (modal.exception.Error, OSError):
            return False

    def _show(self) -> None:
        with suppress(OSError), (self._folder / LOG).open("rb") as file:
            file.seek(self._shown)
            text = file.read()
            self._shown += len(text)
            print(text.decode(errors="replace"), end="", flush=True)
