"""`python -m tesuji.pipeline.sweep.child PARENT WORDS...`: a `tesuji WORDS` that ends with PARENT.

A sweep that is killed with -9 can end nothing itself, and a run that went on without it would hold
its folder when the sweep is started again. Files of a run are whole or absent, however it ends.
"""

import contextlib
import ctypes
import os
import runpy
import signal
import sys


def main() -> None:
    """Be `tesuji`, for as long as the parent lives."""
    parent, *words = sys.argv[1:]
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, on Linux
    if os.getppid() != int(parent):
        sys.exit("the sweep that started this run is gone")
    sys.argv = ["tesuji", *words]
    runpy.run_module("tesuji", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
