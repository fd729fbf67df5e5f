"""`tesuji run` in several processes on this machine, started by torch's own launcher.

The launcher only watches: when a process has died it ends the others, and the one message about it
is said once, by the process that knows, or here where that was killed.
"""

import contextlib
import ctypes
import json
import logging
import os
import signal
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from tesuji.core.errors import ComputeError, TesujiError
from tesuji.learners.distributed import LostProcess, started

WATCHED = "TESUJI_WATCHED"  # set in processes that were started here
ERROR_FILE = "TORCHELASTIC_ERROR_FILE"  # torch's: where a process says why it failed
LOST = 75  # the exit code of a process that another one has let down
BUG, REFUSED = 1, 2  # those of one that has shown its traceback, or knows why in words
GOES_ON = "the same command goes on from the last checkpoint"


def start_processes(processes: int, arguments: list[str]) -> int:
    """Run `tesuji ARGUMENTS` in so many processes, to the end of all; the exit code.

    Raises ComputeError where one of them failed without a message of its own.
    """
    logging.disable(logging.CRITICAL)  # torch's own words about failures
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ[WATCHED] = "1"
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "tesuji", *arguments)
    except ChildFailedError as error:
        return told(error.failures)
    except SignalException as error:
        raise KeyboardInterrupt from error
    return 0


def choose_gpus(text: str, processes: int | None) -> int:
    """Have these GPUs of this machine seen, and no others, and return how many they are; `text`
    names them by their numbers among those seen now. Raises ComputeError where one is not there."""
    numbers = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in numbers) or len(set(numbers)) < len(numbers):
        raise ComputeError(
            f"{text!r} names no GPUs", where="--gpus", hint="their numbers, each once, such as 0,1"
        )
    if started() is not None or processes not in (None, len(numbers)):
        raise ComputeError(
            f"{len(numbers)} GPUs are {len(numbers)} processes, and others were asked for",
            where="--gpus",
            hint="leave out --processes, or the launcher in front",
        )
    import torch

    here = torch.cuda.device_count()
    if missing := [part for part in numbers if int(part) >= here]:
        raise ComputeError(
            f"no GPU {missing[0]}: this machine shows {here} CUDA devices",
            where="--gpus",
            hint=f"--processes {len(numbers)} learns on CPUs; `tesuji doctor` shows what there is",
        )
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = seen.split(",") if seen else [str(number) for number in range(here)]
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(names[int(part)] for part in numbers)
    return len(numbers)


def told(failures: dict[int, Any]) -> int:
    """The exit code, where the main process said what happened; else that is raised."""
    if 0 in failures and failures[0].exitcode in (BUG, REFUSED):
        return int(failures[0].exitcode)
    causes = {rank: failure for rank, failure in failures.items() if failure.exitcode != LOST}
    for rank, failure in sorted(causes.items(), key=lambda one: one[1].exitcode, reverse=True):
        if failure.exitcode == REFUSED:
            raise ComputeError(str(failure.message), where=f"process {rank}")
        if failure.exitcode >= 0:  # a traceback was shown
            return BUG
        if failure.exitcode != -signal.SIGTERM:
            name = signal.Signals(-failure.exitcode).name
            raise ComputeError(
                f"process {rank} was killed ({name}), and the others were ended",
                hint=f"was there too little memory? {GOES_ON}",
            )
    raise ComputeError("the processes lost each other", hint=GOES_ON)


def talks() -> bool:
    """Whether this process says what is said before a run: it was started by nobody, or is the main
    one where the launcher has not said it."""
    place = started()
    return place is None or (place[0] == 0 and WATCHED not in os.environ)


@contextlib.contextmanager
def one_of_several() -> Any:
    """Inside, a process that was started with others leaves it to the main one, or to the launcher,
    to say what went wrong."""
    place = started()
    if place is None:
        yield
        return
    watched = WATCHED in os.environ
    if watched:
        _end_with_launcher()
    try:
        yield
    except LostProcess:
        if place[0] == 0 and not watched:
            raise
        sys.exit(LOST)
    except TesujiError as error:
        if place[0] == 0:
            raise
        _leave_word(str(error))
        time.sleep(2)  # the main one may be about to say the same
        sys.exit(REFUSED)


def _end_with_launcher() -> None:
    """Be gone at once when the launcher says so, or is gone itself: files are whole or absent."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _leave_word(message: str) -> None:
    if path := os.environ.get(ERROR_FILE):
        Path(path).write_text(json.dumps({"message": message, "timestamp": int(time.time())}))
    else:
        print(message, file=sys.stderr)
