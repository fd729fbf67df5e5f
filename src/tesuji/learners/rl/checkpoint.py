"""Checkpoints at rollout boundaries: a folder that is there whole, or not at all.

    step-000100/
      config.json, model.safetensors      the policy, loadable by itself (or adapter_* for LoRA)
      value_head.safetensors              the critic, where there is one
      optimizer.safetensors               by parameter name, whole, whatever parts it
      copies.safetensors                  moving average and reference, where there are any
      rollouts.json                       played ahead of their steps, where there are any
      state.json                          everything else
      checksums.json                      of all of these, written last

Nothing is pickled. What is not in the folder follows from the recipe and its seed; so any number of
processes may go on, with any strategy.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter

from tesuji.core.checksums import sealed_folder
from tesuji.core.errors import DataError
from tesuji.core.files import discard, read_json, write_json
from tesuji.core.tensors import load_tensors, save_tensors
from tesuji.learners.model.load import Policy
from tesuji.learners.model.save import save_policy
from tesuji.learners.optimizer_state import put_state, state_by_name
from tesuji.learners.rl.rollout.play import Rollout
from tesuji.learners.rl.update.build import named_parameters
from tesuji.learners.rl.update.optimizer_step import Learner
from tesuji.learners.rl.weights import Weights, copy_of, put_into

FORMAT = 1
ROLLOUTS = "rollouts.json"
BY_STEP = TypeAdapter(dict[int, Rollout])
VALUE_HEAD = "value_head.safetensors"


def save_checkpoint(
    folder: Path,
    step: int,
    policy: Policy,
    learner: Learner,
    copies: Mapping[str, Weights],
    rollouts: Mapping[int, Rollout],
    optimizer: Weights,
    state: Mapping[str, Any],
) -> None:
    """Write `folder/step-NNNNNN`; `optimizer` is what `gather_optimizer` gave."""
    target = folder / f"step-{step:06d}"
    with sealed_folder(target) as aside:
        _write_model(aside, policy, learner)
        save_tensors(aside / "optimizer.safetensors", optimizer)
        flat = {f"{kind}/{name}": t for kind, kept in copies.items() for name, t in kept.items()}
        save_tensors(aside / "copies.safetensors", flat)
        if rollouts:
            played = BY_STEP.dump_json(dict(rollouts), exclude={"__all__": {"seconds"}})
            (aside / ROLLOUTS).write_bytes(played)
        write_json(aside / "state.json", {"format": FORMAT, "step": step, **state})


def gather_optimizer(learner: Learner) -> Weights:
    """Every process: the optimizer's state, which the main one has then for `save_checkpoint`."""
    with learner.parted():
        return state_by_name(named_parameters(learner.module), learner.stepping)


def keep_newest(folder: Path, count: int) -> None:
    """Remove all checkpoints but the newest `count`."""
    for old in checkpoints(folder)[:-count]:
        discard(old)


def save_model(folder: Path, policy: Policy, learner: Learner) -> None:
    """Write the policy as it now is, and the critic beside it where there is one: what `best` and
    `final` are."""
    with sealed_folder(folder) as aside:
        _write_model(aside, policy, learner)


def copy_model(source: Path, target: Path) -> None:
    """Put a saved model in a second place as well."""
    with sealed_folder(target) as aside:
        shutil.copytree(source, aside, dirs_exist_ok=True)


def _write_model(folder: Path, policy: Policy, learner: Learner) -> None:
    save_policy(policy, folder)
    if (critic := learner.module.critic_part()) is not None:
        save_tensors(folder / VALUE_HEAD, copy_of(critic))


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


def load_critic(checkpoint: Path, learner: Learner) -> None:
    """Give the learner's critic, if it has one, the weights that were saved."""
    if (critic := learner.module.critic_part()) is not None:
        with learner.writing(critic):
            put_into(critic, load_tensors(checkpoint / VALUE_HEAD))


def load_copies(checkpoint: Path, device: torch.device) -> dict[str, Weights]:
    """The copies that were saved, by kind."""
    copies: dict[str, Weights] = {}
    for key, tensor in load_tensors(checkpoint / "copies.safetensors", device).items():
        kind, _, name = key.partition("/")
        copies.setdefault(kind, {})[name] = tensor
    return copies


def load_rollouts(checkpoint: Path) -> dict[int, Rollout]:
    """The rollouts that were saved, by the steps they are for."""
    path = checkpoint / ROLLOUTS
    return BY_STEP.validate_json(path.read_bytes()) if path.exists() else {}


def load_optimizer(checkpoint: Path, learner: Learner) -> None:
    """Give the optimizer (or each of its members) back the state it had."""
    with learner.parted():
        saved = load_tensors(checkpoint / "optimizer.safetensors")
        put_state(named_parameters(learner.module), learner.stepping, saved)
