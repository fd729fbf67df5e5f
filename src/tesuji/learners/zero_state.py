"""The state of an optimizer whose parts are DeepSpeed's, by the names of its parameters, whole.

DeepSpeed keeps it flat, each process its piece, and so are its own checkpoints, which are pickled.
Here it is gathered and put back a parameter at a time, in any number of processes and any stage.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tesuji.learners.distributed import is_main, process

MOMENTS = ("exp_avg", "exp_avg_sq")  # AdamW's: no other optimizer goes with DeepSpeed
STEP = "step"
MASTER = "float32"  # what is stepped on, where the parameter itself is not in float32


def gathered_state(parameters: Mapping[str, Tensor], zero: Any) -> dict[str, Tensor]:
    """`parameter/key` → tensor, of an engine's `optimizer`; in the main process. Every process has
    to call this."""
    from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

    kept: dict[str, Tensor] = {}
    if not zero.optimizer.state:
        return kept
    steps: dict[int, Tensor] = {}
    for flat, group in _pieces(zero):
        _link(zero.optimizer, flat, group)
        steps |= {id(parameter): zero.optimizer.state[flat][STEP] for parameter in group}
    for name, parameter in parameters.items():
        whole = {key: safe_get_full_optimizer_state(parameter, key) for key in MOMENTS}
        if parameter.dtype != torch.float32:
            whole[MASTER] = safe_get_full_fp32_param(parameter)
        if is_main():
            whole[STEP] = steps[id(parameter)]
            kept |= {f"{name}/{key}": value.cpu().clone() for key, value in whole.items()}
    return kept


def put_state_in(
    parameters: Mapping[str, Tensor], zero: Any, states: Mapping[str, Mapping[str, Tensor]]
) -> None:
    """Give the optimizer of an engine that has taken no step the state of each parameter back."""
    if not states:
        return
    names = {id(parameter): name for name, parameter in parameters.items()}
    for flat, group in _pieces(zero):
        _begin(zero.optimizer, flat, group, [states.get(names[id(p)], {}) for p in group])
    for name, state in states.items():
        for key in (*MOMENTS, MASTER):
            if key in state:
                _put(parameters[name], key, state[key])


def _pieces(zero: Any) -> Iterator[tuple[nn.Parameter, list[nn.Parameter]]]:
    """What this process steps on, flat, and the parameters that each piece is of."""
    if hasattr(zero, "fp32_partitioned_groups_flat"):  # ZeRO-3
        return zip(zero.fp32_partitioned_groups_flat, zero.fp16_groups, strict=True)
    return zip(zero.single_partition_of_fp32_groups, zero.bit16_groups, strict=True)


def _begin(
    optimizer: Any, flat: nn.Parameter, group: list[Any], states: list[Mapping[str, Tensor]]
) -> None:
    """A piece's state as it is after its first step."""
    steps = max((float(state[STEP]) for state in states if STEP in state), default=0.0)
    fused = any(one.get("fused") or one.get("capturable") for one in optimizer.param_groups)
    device = flat.device if fused else None
    optimizer.state[flat] = {
        STEP: torch.tensor(steps, dtype=torch.float32, device=device),
        **{key: torch.zeros_like(flat.data) for key in MOMENTS},
    }
    _link(optimizer, flat, group)


def _link(optimizer: Any, flat: nn.Parameter, group: list[Any]) -> None:
    """Have ZeRO-1 and 2 find it for each parameter. (They do so themselves after the step of the
    first group, when the others have none yet.)"""
    from deepspeed.utils import lazy_init_hp_params_optimizer_state

    if group and hasattr(group[0], "_hp_mapping"):
        lazy_init_hp_params_optimizer_state(group, flat, optimizer.state)


def _put(parameter: Any, key: str, value: Tensor) -> None:
    from deepspeed import utils

    value = value.to(parameter.device)
    if not hasattr(parameter, "ds_id"):
        if key == MASTER:
            utils.safe_set_full_fp32_param(parameter, value)
        else:
            utils.safe_set_full_optimizer_state(parameter, value, key)
        return
    mine, processes = process()
    size = parameter.ds_tensor.numel()
    padded = nn.functional.pad(value.flatten(), (0, size * processes - value.numel()))
    piece = padded[mine * size : (mine + 1) * size]
    if key == MASTER:
        utils.safe_set_local_fp32_param(parameter, piece)
    else:
        utils.safe_set_local_optimizer_state(parameter, piece, key)
