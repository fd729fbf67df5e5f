"""Checkpoints of what is in parts are whole: the optimizer's state is kept by parameter name, so
that any number of processes can go on from it, with any strategy. Nothing of ours is pickled, and
what DeepSpeed would pickle is not written.

A model is parted when training begins (FSDP2: here), once it is loaded from the checkpoint. One
that transformers has sharded as it loaded it was loaded from there by whoever goes on; of that one
a Trainer saves the weights, whole, and refuses the rest.
"""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from tesuji.core.files import read_json, write_json
from tesuji.core.tensors import load_tensors, save_tensors
from tesuji.learners.distributed import is_main, is_sharded
from tesuji.learners.fsdp import fsdp_in_use, is_parted, part, reshard
from tesuji.learners.optimizer_state import put_state, state_by_name
from tesuji.learners.trainer.trainer import BY_NAME
from tesuji.learners.whole import whole_weights
from tesuji.learners.zero import in_use, written_by_main

SCHEDULE = "schedule.json"


class ShardedStates:
    """Mixed in front of a Trainer; nothing changes where the weights are whole."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.args.save_only_model = False

    def _prepare_for_training(self: Any, steps: int, loader: Any, checkpoint: str | None) -> Any:
        """The last moment before there is an optimizer. DeepSpeed's engine begins with what it
        finds: a Trainer would have it load a checkpoint of its own."""
        if fsdp_in_use() and not is_parted(self.model):
            reference = getattr(self, "ref_model", None)
            for model in (self.model, reference) if reference is not None else (self.model,):
                part(model)
            self.is_distributed_loading_by_transformers = True  # nothing is wrapped around it
        if in_use() is None or checkpoint is None:
            return super()._prepare_for_training(steps, loader, checkpoint)  # type: ignore[misc]
        self._load_from_checkpoint(checkpoint)
        prepared = super()._prepare_for_training(steps, loader, None)  # type: ignore[misc]
        self._load_optimizer_and_scheduler(checkpoint)
        return prepared

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
        if in_use() is None and not is_parted(self.model):
            super()._save_optimizer_and_scheduler(folder)  # type: ignore[misc]
            return
        reshard(self.model)  # it may have looked at held-out rows
        state = state_by_name(self._trained(), self._stepping())
        if is_main():
            save_tensors(Path(folder) / BY_NAME, state)
            write_json(Path(folder) / SCHEDULE, self.lr_scheduler.state_dict())

    def _load_from_checkpoint(self: Any, checkpoint: str, model: Any = None) -> None:
        if not is_sharded(self.model):
            super()._load_from_checkpoint(checkpoint, model)  # type: ignore[misc]

    def _load_optimizer_and_scheduler(self: Any, checkpoint: str | None) -> None:
        if checkpoint is None or not (Path(checkpoint) / BY_NAME).exists():
            super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]
            return
        put_state(self._trained(), self._stepping(), load_tensors(Path(checkpoint) / BY_NAME))
        self.lr_scheduler.load_state_dict(read_json(Path(checkpoint) / SCHEDULE))
        rates = self.lr_scheduler.get_last_lr()
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    def _load_best_model(self: Any) -> None:
        """Of DeepSpeed: into the parameters, wherever they are; the engine has done its work."""
        if in_use() is None:
            super()._load_best_model()  # type: ignore[misc]
            return
        with written_by_main(self.model) as writes:
            if writes:
                self._load_from_checkpoint(self.state.best_model_checkpoint)

    def _trained(self: Any) -> dict[str, Any]:
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def _stepping(self: Any) -> Any:
        """What has the optimizer's state: torch's own, or that of DeepSpeed's engine."""
        return self.optimizer.optimizer if in_use() is None else self.deepspeed.optimizer
