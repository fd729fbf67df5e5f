"""Several processes that learn together: who they are, and what each tells the others.

    join(recipe.distributed, device)      # at the start of a run, in every process
    score = on_main(evaluate)(step)       # one computes, all know

Accelerate's `PartialState` is the process group. A process that was started alone is the only one,
and everything here costs it nothing. What it simplifies: nobody is given up for being slow (the
main process walks the game's tree while the others wait), so only a process that has died is
noticed, by its closed connections; and all processes see one file system.
"""

import contextlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from tesuji.core.errors import ComputeError
from tesuji.learners.fsdp import begin_fsdp
from tesuji.learners.zero import USED, begin_deepspeed, in_use
from tesuji.recipe.schema.sections import DistributedSection

T = TypeVar("T")
R = TypeVar("R")
PATIENCE = timedelta(days=7)


class LostProcess(ComputeError):
    """Another process has ended: why, it said itself."""


def started() -> tuple[int, int] | None:
    """(this process's number, how many there are) as torchrun or `accelerate launch` have set them;
    None where neither did. Needs no torch."""
    if "WORLD_SIZE" not in os.environ or "RANK" not in os.environ:
        return None
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def started_alone() -> bool:
    """Whether `accelerate launch` has started this process and no other: with --cpu it starts one,
    whatever --num_processes says."""
    return "ACCELERATE_USE_CPU" in os.environ and started() is None


def join(asked: DistributedSection | None, device: str) -> DistributedSection | None:
    """Meet the other processes, on `device` (cpu or cuda), and return what they are together.

    Raises ComputeError, in every process, where they are not what was asked for.
    """
    count = (started() or (0, 1))[1]
    if asked and asked.processes != count:
        raise ComputeError(
            f"the recipe asks for {asked.processes} processes, and {count} started",
            where="distributed.processes",
            hint=f"tesuji run RECIPE --processes {asked.processes}, or torchrun "
            f"--nproc_per_node {asked.processes} -m tesuji run RECIPE",
        )
    _refuse_launcher(asked)
    if count == 1:
        return asked
    if asked and asked.strategy == "fsdp":
        begin_fsdp(count)
    _refuse_device(device)
    state, kind = _meet(asked, device)
    if (state.num_processes, state.distributed_type.value) != (count, kind):
        raise ComputeError(
            f"asked for {count} processes of kind {kind}, and Accelerate made "
            f"{state.num_processes} of kind {state.distributed_type.value}",
            where="distributed",
            hint="leave ACCELERATE_* variables and its configuration file out of it",
        )
    return asked or DistributedSection(processes=count)


def _meet(asked: DistributedSection | None, device: str) -> tuple[Any, str]:
    """The process group as Accelerate makes it, and the kind that it has to be of."""
    from accelerate import PartialState

    if asked is None or not asked.zero_stage:
        kind = "MULTI_CPU" if device == "cpu" else "MULTI_GPU"
        return PartialState(cpu=device == "cpu", timeout=PATIENCE), kind
    begin_deepspeed(asked, device)
    backend = {"backend": "gloo"} if device == "cpu" else {}
    with contextlib.redirect_stdout(None):
        return PartialState(timeout=PATIENCE, **backend), "DEEPSPEED"


def _refuse_launcher(asked: DistributedSection | None) -> None:
    """`accelerate launch --use_deepspeed` wants what only the recipe can say."""
    if os.environ.get(USED, "false").lower() != "true" or in_use() is not None:
        return
    stage = int(os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE", "2"))
    if stage != (asked.zero_stage if asked else 0):
        strategy = asked.strategy if asked else "no strategy"
        raise ComputeError(
            f"accelerate was asked for DeepSpeed's ZeRO stage {stage}, and the recipe asks for "
            f"{strategy}",
            where="distributed.strategy",
            hint=f"distributed.strategy=zero{stage}; the rest of DeepSpeed's options stands there",
        )


def _refuse_device(device: str) -> None:
    if device == "cpu":
        return
    import torch

    here, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
    if device != "cuda" or here > gpus:
        raise ComputeError(
            f"{here} processes on this machine, which has {gpus} CUDA devices",
            where="distributed.processes",
            hint="a process a GPU; or model.device=cpu",
        )


def leave() -> None:
    """End the process group, all together: what is left to a process's exit may abort it."""
    from accelerate import PartialState

    wait()
    PartialState().destroy_process_group()


@contextlib.contextmanager
def noticing_losses() -> Iterator[None]:
    """Raise LostProcess in place of what gloo and NCCL say when another process has ended."""
    from torch.distributed import DistError

    try:
        yield
    except RuntimeError as error:
        lost = isinstance(error, DistError) or "gloo/transport" in str(error)
        if process()[1] == 1 or not lost:
            raise
        raise LostProcess(
            "another process of this run has ended", hint="the same command goes on from there"
        ) from error


def process() -> tuple[int, int]:
    """(this process's number, how many there are)."""
    if started() is None:
        return 0, 1
    from accelerate import PartialState

    state = PartialState()
    return int(state.process_index), int(state.num_processes)


def is_main() -> bool:
    """Whether this process writes files and talks."""
    return process()[0] == 0


def is_sharded(model: object) -> bool:
    """Whether each process holds a part of its weights: all have to make the same calls of it."""
    return bool(getattr(model, "is_distributed_loading_by_transformers", False))


def wait() -> None:
    """Go on when all processes are here."""
    gathered([])


def on_main(function: Callable[..., T]) -> Callable[..., T]:
    """The function, to be called by every process at the same moment: the main one does it, and
    all have its result."""

    def call(*arguments: object) -> T:
        return gathered([function(*arguments)] if is_main() else [])[0]

    return call


def gathered(items: Sequence[T]) -> list[T]:
    """The items of all processes, in the order of the processes."""
    if process()[1] == 1:
        return list(items)
    from accelerate.utils import gather_object

    everybodys: list[T] = gather_object(list(items))
    return everybodys


def shared_out(items: Sequence[T], do: Callable[[Sequence[T]], Sequence[R]]) -> list[R]:
    """Every item's result, in the items' order, to be called by every process at the same moment:
    each does its share of them, and all have all results. `do` gives a result an item, in order."""
    mine, processes = process()
    start, stop = (len(items) * n // processes for n in (mine, mine + 1))
    return gathered(do(items[start:stop]))


def gathered_sums(sums: Mapping[str, float]) -> dict[str, float]:
    """The sums over all processes."""
    total: dict[str, float] = defaultdict(float)
    for part in gathered([dict(sums)]):
        for name in sorted(part):
            total[name] += part[name]
    return total
