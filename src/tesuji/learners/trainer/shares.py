"""Every process sees the batches that one process would see, and learns from its share of each.

So `batch_size` is that of an optimizer step's forward pass however many processes there are, the
losses and gradients are those of one process, and a checkpoint goes on with any number of them. (A
Trainer's own loaders give each process batches of its own, and fill up the last ones of an epoch
with rows from its beginning.)
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from accelerate.data_loader import prepare_data_loader
from torch.utils.data import BatchSampler, DataLoader

from tesuji.learners.distributed import process
from tesuji.learners.fsdp import refuse_whole
from tesuji.learners.zero import refuse_other_engine


def share_of(batch: Sequence[int], mine: int, processes: int) -> list[int]:
    """What process number `mine` learns from. All shares are of one size, so that the mean over
    them is the batch's: where a last batch cannot be dealt out so, several have the same share."""
    parts = math.gcd(len(batch), processes)
    return list(batch[mine % parts :: parts])


class Shares(BatchSampler):
    """The shares of this process, of the batches of `whole`."""

    def __init__(self, whole: BatchSampler) -> None:
        super().__init__(whole.sampler, whole.batch_size, whole.drop_last)
        self.whole = whole

    def __iter__(self) -> Iterator[list[int]]:
        mine, processes = process()
        return (share_of(batch, mine, processes) for batch in self.whole)


class SharedBatches:
    """Mixed in front of a Trainer whose loss is a mean over its batch, or over the tokens of all
    processes. Held-out rows are read by every process."""

    def get_train_dataloader(self: Any) -> Any:
        """The batches of one process, shared out."""
        return self._of_all(super().get_train_dataloader(), Shares)  # type: ignore[misc]

    def get_eval_dataloader(self: Any, *args: Any) -> Any:
        """The batches of one process."""
        return self._of_all(super().get_eval_dataloader(*args), lambda whole: whole)  # type: ignore[misc]

    def training_step(self: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        """By the engine that was asked for."""
        refuse_other_engine(model)
        refuse_whole(model)
        return super().training_step(model, *args, **kwargs)  # type: ignore[misc]

    def evaluation_loop(self: Any, *args: Any, **kwargs: Any) -> Any:
        """Nothing is gathered: every process has all of it."""
        if self.accelerator.num_processes > 1:
            self.gather_function = self._own
        return super().evaluation_loop(*args, **kwargs)  # type: ignore[misc]

    def _own(self: Any, losses: Any) -> Any:
        """A batch's losses, as often as it has rows: the last one may have fewer."""
        state = self.accelerator.gradient_state
        return losses[: state.remainder or None] if state.end_of_dataloader else losses

    def _of_all(self: Any, loader: Any, dealt: Any) -> Any:
        """The loader before Accelerate gave each process other batches of it."""
        if self.accelerator.num_processes == 1:
            return loader
        plain = DataLoader(
            loader.dataset,
            batch_sampler=dealt(loader.batch_sampler.batch_sampler),
            collate_fn=loader.collate_fn,
            pin_memory=loader.pin_memory,
        )
        return prepare_data_loader(
            plain, self.args.device, num_processes=1, process_index=0, put_on_device=True
        )
