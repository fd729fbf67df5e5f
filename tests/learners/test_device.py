"""Sampler, scores, updates and evaluation with the model on a device that is not the CPU."""

import subprocess
import sys

from places import ROOT


def test_everything_runs_on_a_device_that_is_not_the_cpu() -> None:
    """In a process of its own: torch cannot forget a device (`support/pretended_device.py`)."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs"]
    checks = "tests/support/device_checks.py"
    done = subprocess.run([*command, checks], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout
