"""Checkpoints at rollout boundaries: a folder that is there whole, or not at all.

    step-000100/
      config.json, model.safetensors      the policy, loadable by itself (or adapter_* for LoRA)
      value_head.safetensors              the critic, where there is one
      optimizer.safetensors               by parameter name
      copies.safetensors                  moving average and reference, where there are any
      state.json                          everything else, written last

Nothing is pickled. What is not in the folder follows from the recipe and its seed.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tesuji.core.errors import DataError
from tesuji.core.files import read_json, write_json
from tesuji.learners.rl.weights import copy_of, load_tensors, put_into, save_tensors

FORMAT = 1


def save_checkpoint(
    folder: Path,
    step: int,
    *,
    policy: Any,
    tokenizer: Any,
    critic: nn.Module | None,
    optimizer: Any,
    named: Mapping[str, Tensor],
    copies: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    keep: int,
) -> Path:
    """Write `folder/step-NNNNNN` and remove all but the newest `keep`.

    `named` are the trained parameters by name: the optimizer's state is stored under these names.
    """
    target = folder / f"step-{step:06d}"
    aside = folder / f".{target.name}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    policy.save_pretrained(aside)
    tokenizer.save_pretrained(aside)
    if critic is not None:
        save_critic(aside, critic)
    save_tensors(aside / "optimizer.safetensors", _optimizer_tensors(optimizer, named))
    flat = {f"{kind}/{name}": t for kind, kept in copies.items() for name, t in kept.items()}
    save_tensors(aside / "copies.safetensors", flat)
    write_json(aside / "state.json", {"format": FORMAT, "step": step, **state})
    shutil.rmtree(target, ignore_errors=True)  # a leftover of an earlier, later-killed run
    aside.rename(target)
    for old in checkpoints(folder)[:-keep]:
        shutil.rmtree(old)
    return target


def checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints in `folder`, oldest first."""
    return sorted(path.parent for path in folder.glob("step-*/state.json"))


def read_state(checkpoint: Path) -> dict[str, Any]:
    """A checkpoint's state.json. Raises DataError for one of another format."""
    state = read_json(checkpoint / "state.json")
    if state.get("format") != FORMAT:
        raise DataError(
            f"a checkpoint of format {state.get('format')}: this version knows {FORMAT}",
            where=str(checkpoint),
            hint="finish the run with the version that began it, or start anew under another name",
        )
    return dict(state)


def save_critic(folder: Path, critic: nn.Module) -> None:
    """Write the value head, and what was trained of a critic model, beside the policy."""
    save_tensors(folder / "value_head.safetensors", copy_of(critic))


def load_critic(checkpoint: Path, critic: nn.Module) -> None:
    """Put the saved critic's weights into `critic`."""
    put_into(critic, load_tensors(checkpoint / "value_head.safetensors"))


def load_copies(checkpoint: Path, device: Any) -> dict[str, dict[str, Tensor]]:
    """The copies that were saved, by kind."""
    found: dict[str, dict[str, Tensor]] = {}
    for key, tensor in load_tensors(checkpoint / "copies.safetensors", device).items():
        kind, _, name = key.partition("/")
        found.setdefault(kind, {})[name] = tensor
    return found


def _optimizer_tensors(optimizer: Any, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The optimizer's state, `parameter/key` → tensor; plain numbers become 0-d tensors."""
    return {
        f"{name}/{key}": torch.as_tensor(value).clone()
        for name, parameter in named.items()
        for key, value in optimizer.state.get(parameter, {}).items()
        if value is not None
    }


def load_optimizer(checkpoint: Path, optimizer: Any, named: Mapping[str, Tensor]) -> None:
    """Give the optimizer (or each of its members) back the state it had."""
    saved: dict[str, dict[str, Tensor]] = {}
    for path, tensor in load_tensors(checkpoint / "optimizer.safetensors").items():
        name, _, key = path.rpartition("/")
        saved.setdefault(name, {})[key] = tensor
    names = {id(parameter): name for name, parameter in named.items()}
    for member in getattr(optimizer, "members", (optimizer,)):
        for group in member.param_groups:
            for parameter in group["params"]:
                if (state := saved.get(names[id(parameter)])) is not None:
                    member.state[parameter] = {
                        k: _placed(k, v, parameter) for k, v in state.items()
                    }


def _placed(key: str, value: Tensor, parameter: Tensor) -> Tensor:
    """Moments live where their parameter does; AdamW keeps its count of steps in float32."""
    return value if key == "step" and value.ndim == 0 else value.to(parameter.device)
