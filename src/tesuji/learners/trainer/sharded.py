"""Checkpoints of weights in parts. What DeepSpeed's ZeRO has parted it writes and reads itself, a
file a process. FSDP2's are made whole: the optimizer's state is kept by parameter name, so that any
number of processes can go on from it.

A model is parted here when training begins, but for one that transformers has sharded as it loaded
it, whose Trainer saves the weights, whole, and refuses the rest. Whoever goes on with that one has
loaded it from the checkpoint already.
"""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from tesuji.core.files import read_json, write_json
from tesuji.core.tensors import load_tensors, save_tensors
from tesuji.learners.distributed import is_main, is_sharded
from tesuji.learners.fsdp import fsdp_in_use, is_parted, part, reshard
from tesuji.learners.optimizer_state import put_state, state_by_name
from tesuji.learners.trainer.trainer import BY_NAME, ENGINE, kind_of
from tesuji.learners.whole import whole_weights
from tesuji.learners.zero import in_use

SCHEDULE = "schedule.json"


class ShardedStates:
    """Mixed in front of a Trainer; nothing changes where the weights are whole."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.args.save_only_model = False

    def _prepare_for_training(self: Any, *args: Any, **kwargs: Any) -> Any:
        """The last moment before there is an optimizer."""
        if fsdp_in_use() and not is_parted(self.model):
            reference = getattr(self, "ref_model", None)
            for model in (self.model, reference) if reference is not None else (self.model,):
                part(model)
            self.is_distributed_loading_by_transformers = True  # nothing is wrapped around it
        return super()._prepare_for_training(*args, **kwargs)  # type: ignore[misc]

    def _defer_fsdp_gradient_reduction(self: Any) -> AbstractContextManager[None]:
        """Parts of gradients are summed up in every pass: whole ones would need the memory."""
        if not is_sharded(self.model):
            return nullcontext()
        deferred: AbstractContextManager[None] = super()._defer_fsdp_gradient_reduction()  # type: ignore[misc]
        return deferred

    def _save(self: Any, output_dir: str | None = None, state_dict: Any = None) -> None:
        if is_sharded(self.model) or not is_parted(self.model):
            super()._save(output_dir, state_dict)  # type: ignore[misc]
            return
        with whole_weights(self.model):
            if is_main():
                super()._save(output_dir)  # type: ignore[misc]

    def _save_optimizer_and_scheduler(self: Any, folder: str) -> None:
        if not is_parted(self.model):
            super()._save_optimizer_and_scheduler(folder)  # type: ignore[misc]
            if in_use() is not None and is_main():
                write_json(Path(folder) / ENGINE, {"kind": kind_of()})
            return
        reshard(self.model)  # it may have looked at held-out rows
        state = state_by_name(dict(self.model.named_parameters()), self.optimizer.optimizer)
        if is_main():
            save_tensors(Path(folder) / BY_NAME, state)
            write_json(Path(folder) / SCHEDULE, self.lr_scheduler.state_dict())

    def _load_from_checkpoint(self: Any, checkpoint: str, model: Any = None) -> None:
        if not is_sharded(self.model):
            super()._load_from_checkpoint(checkpoint, model)  # type: ignore[misc]

    def _load_optimizer_and_scheduler(self: Any, checkpoint: str | None) -> None:
        if checkpoint is None or not is_parted(self.model):
            super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]
            return
        saved, parameters = load_tensors(Path(checkpoint) / BY_NAME), self.model.named_parameters()
        put_state(dict(parameters), self.optimizer.optimizer, saved)
        self.lr_scheduler.load_state_dict(read_json(Path(checkpoint) / SCHEDULE))
        rates = self.lr_scheduler.get_last_lr()
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
