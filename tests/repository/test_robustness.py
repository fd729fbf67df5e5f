"""A slice of the benchmark of wrong recipes, folders and endpoints: each is refused early."""

import os
import subprocess
import sys

from places import ROOT

SLICE = 60


def test_wrong_things_are_refused_before_anything_starts() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "robustness.py"), "--slice", str(SLICE)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, cwd=ROOT, env=os.environ
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert f"{SLICE} cases" in done.stdout
    assert " 0 accepted though wrong" in done.stdout
