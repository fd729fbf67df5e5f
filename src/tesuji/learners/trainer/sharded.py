"""Checkpoints of weights in parts. What DeepSpeed's ZeRO has parted it writes and reads itself, a
file a process. Of a model that transformers has sharded at load (FSDP2), its Trainer saves the
weights, whole, and refuses the rest.

There the optimizer's state is gathered and kept by parameter name, so that any number of processes
can go on from it. Whoever goes on has loaded the model from the checkpoint already.
"""

from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)

from tesuji.core.files import write_json
from tesuji.learners.distributed import is_main, is_sharded
from tesuji.learners.trainer.trainer import BY_NAME, ENGINE, kind_of
from tesuji.learners.zero import in_use

SCHEDULE = "scheduler.pt"


class ShardedStates:
    """Mixed in front of a Trainer; nothing changes where the weights are whole."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.args.save_only_model = False

    def _save_optimizer_and_scheduler(self: Any, folder: str) -> None:
        if not is_sharded(self.model):
            super()._save_optimizer_and_scheduler(folder)  # type: ignore[misc]
            if in_use() is not None and is_main():
                write_json(Path(folder) / ENGINE, {"kind": kind_of(self.model)})
            return
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        state = get_optimizer_state_dict(self.model, self.optimizer.optimizer, options=options)
        if is_main():
            torch.save(state, Path(folder) / BY_NAME)
            torch.save(self.lr_scheduler.state_dict(), Path(folder) / SCHEDULE)

    def _load_from_checkpoint(self: Any, checkpoint: str, model: Any = None) -> None:
        if not is_sharded(self.model):
            super()._load_from_checkpoint(checkpoint, model)  # type: ignore[misc]

    def _load_optimizer_and_scheduler(self: Any, checkpoint: str | None) -> None:
        if checkpoint is None or not is_sharded(self.model):
            super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]
            return
        state, schedule = (
            torch.load(Path(checkpoint) / name, weights_only=True) for name in (BY_NAME, SCHEDULE)
        )
        options = StateDictOptions(full_state_dict=True)
        inner = self.optimizer.optimizer
        set_optimizer_state_dict(self.model, inner, optim_state_dict=state, options=options)
        self.lr_scheduler.load_state_dict(schedule)
