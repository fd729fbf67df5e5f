"""FSDP2 (Zhao et al. 2023): each process holds its part of the weights, and has a layer's whole
while it computes with it.

    begin_fsdp(processes)       # at the start of a run, in every process
    part(actor)                 # whole weights in, parts out
    with gathered(actor): ...   # see `whole_weights`

Weights, gradients and the optimizer's state are torch's DTensors. What it simplifies: a model is
loaded whole by every process, and parted when training begins. (SFT of whole models does better:
transformers parts those as it loads them.)
"""

import contextlib
from collections.abc import Iterator
from typing import Any
from weakref import WeakSet

from tesuji.core.errors import ComputeError, EngineError

_processes: list[int] = []  # how many part what learns
_whole: WeakSet[Any] = WeakSet()  # parts of models that all processes have whole now


def begin_fsdp(processes: int) -> None:
    """Before anything is loaded: what learns is to be parted among so many processes."""
    _processes[:] = [processes]


def fsdp_in_use() -> bool:
    """Whether what learns here is to be parted by FSDP2."""
    return bool(_processes)


def part(root: Any) -> None:
    """Leave each process its part of the parameters of `root`, whose forward pass is the one that
    learns. Raises EngineError for a model that does not name its layers."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    if not (blocks := _blocks(root)):
        raise EngineError(
            "this model does not name the layers that FSDP2 would part it by",
            where="distributed.strategy",
            hint="strategy: ddp, or zero3",
        )
    mesh = init_device_mesh(next(root.parameters()).device.type, tuple(_processes))
    for block in blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(root, mesh=mesh)


def _blocks(root: Any) -> list[Any]:
    """The decoder layers, as the models in it name their class; inner ones first."""
    named = (getattr(module, "_no_split_modules", None) or () for module in root.modules())
    classes = {name for names in named for name in names}
    return [module for module in root.modules() if type(module).__name__ in classes][::-1]


def is_parted(model: Any) -> bool:
    """Whether FSDP2 has parted it, by whoever."""
    return bool(_parts(model))


def refuse_whole(model: Any) -> None:
    """Raise ComputeError where FSDP2 was asked for, and this that learns is in no parts."""
    if fsdp_in_use() and not is_parted(model):
        raise ComputeError(
            f"asked for FSDP2, and what learns is {type(model).__name__}, which is whole",
            where="distributed.strategy",
            hint="leave ACCELERATE_* variables and its configuration file out of it",
        )


def reshard(model: Any) -> None:
    """Put away what a forward pass has gathered and no backward pass has followed: an optimizer
    would take it for the parameters."""
    for one in _parts(model):
        one.reshard()


def _parts(model: Any) -> list[Any]:
    from torch.distributed.fsdp import FSDPModule

    return [module for module in model.modules() if isinstance(module, FSDPModule)]


@contextlib.contextmanager
def gathered(model: Any) -> Iterator[None]:
    """Inside, every process has all weights, as plain tensors, and a forward pass calls no other
    process. What is written to them is lost. Nothing happens where that is so already."""
    parts = _parts(model)
    if not parts or all(one in _whole for one in parts):
        yield
        return
    root = parts[0]
    root._get_fsdp_state()._lazy_init()  # else the first module that is called becomes the root
    root.set_reshard_after_forward(False)
    for one in parts:
        one.unshard()
    _whole.update(parts)
    try:
        with _plain_states(root):
            yield
    finally:
        for one in parts:
            _whole.discard(one)
        root.reset_iter_state()  # parts again; forgets the passes of this process
        for one in parts[1:]:
            one.set_reshard_after_forward(True, recurse=False)


@contextlib.contextmanager
def _plain_states(root: Any) -> Iterator[None]:
    """Inside, `state_dict()` gives what is there, and does not part the weights again first."""
    kept = {module: module._state_dict_pre_hooks for module in root.modules()}
    for module, hooks in kept.items():
        module._state_dict_pre_hooks = type(hooks)()
    try:
        yield
    finally:
        for module, hooks in kept.items():
            module._state_dict_pre_hooks = hooks
