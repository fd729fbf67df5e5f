"""An optimizer's state by the names of its parameters, whole, whatever has parted it.

tensors = state_by_name(parameters, optimizer)       # in every process at the same moment
put_state(parameters, optimizer, tensors)            # in any number of processes
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from tesuji.learners.distributed import is_main
from tesuji.learners.zero import in_use
from tesuji.learners.zero_state import MASTER, STEP, gathered_state, put_state_in


def state_by_name(parameters: Mapping[str, Tensor], optimizer: Any) -> dict[str, Tensor]:
    """`parameter/key` → tensor, plain numbers 0-d; in the main process, for the others have it only
    while it is gathered. With DeepSpeed the optimizer is its engine's."""
    if in_use() is not None:
        return gathered_state(parameters, optimizer)
    kept: dict[str, Tensor] = {}
    for name, parameter in parameters.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            if value is not None:
                whole = value.full_tensor() if isinstance(value, DTensor) else value
                if is_main():
                    kept[f"{name}/{key}"] = torch.as_tensor(whole).clone()
    return kept


def put_state(
    parameters: Mapping[str, Tensor], optimizer: Any, saved: Mapping[str, Tensor]
) -> None:
    """Give the optimizer (or each of its members) back the state it had, whoever kept it."""
    states: dict[str, dict[str, Tensor]] = {}
    for path, tensor in saved.items():
        name, _, key = path.rpartition("/")
        states.setdefault(name, {})[key] = tensor
    if in_use() is not None:
        put_state_in(parameters, optimizer, states)
        return
    names = {id(parameter): name for name, parameter in parameters.items()}
    for member in getattr(optimizer, "members", (optimizer,)):
        for group in member.param_groups:
            for parameter in group["params"]:
                if (state := states.get(names[id(parameter)])) is not None:
                    member.state[parameter] = _placed(state, parameter, group)


def _placed(
    state: Mapping[str, Tensor], parameter: Tensor, group: Mapping[str, Any]
) -> dict[str, Tensor]:
    """Moments live where their parameter does, in parts like its own; so does the count of steps
    where torch wants it there."""
    on_device = group.get("fused") or group.get("capturable")
    placed = {}
    for key, value in state.items():
        if key == STEP and value.ndim == 0:
            placed[key] = value.to(parameter.device) if on_device else value
        elif key != MASTER:
            placed[key] = in_parts_like(parameter, value)
    return placed


def in_parts_like(parameter: Tensor, value: Tensor) -> Tensor:
    """The value where the parameter is, in parts if that is (FSDP2's)."""
    value = value.to(parameter.device)
    if not isinstance(parameter, DTensor):
        return value
    return distribute_tensor(value, parameter.device_mesh, parameter.placements)
