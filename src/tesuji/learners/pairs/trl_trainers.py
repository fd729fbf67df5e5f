"""TRL's trainers for pairs, taking rows that are tokenised already."""

import contextlib
from collections.abc import Sequence
from typing import Any

from datasets import Dataset
from trl import DPOTrainer, RewardTrainer

from tesuji.learners.pairs.tokens import PairRow
from tesuji.learners.pairs.trees import reading_trees
from tesuji.learners.trainer.sharded import ShardedStates
from tesuji.learners.trainer.shares import SharedBatches
from tesuji.learners.trainer.trainer import refuse_nan
from tesuji.players.sampling.support_check import support_of


class _Careful(ShardedStates, SharedBatches):
    """Mixed in front of a TRL trainer: batches are read as token trees where the model can, no step
    is taken on a loss that is not a number, and tokens are counted where a resumed training finds
    them."""

    stage_name = "pairs"

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """TRL's draft is not written: the model's own card is made from the run."""

    def compute_loss(self: Any, *args: Any, **kwargs: Any) -> Any:
        """TRL's own loss. Raises EngineError where it is not finite."""
        with self._reading():
            result: Any = super().compute_loss(*args, **kwargs)  # type: ignore[misc]
        loss = result[0] if isinstance(result, tuple) else result
        refuse_nan(loss, self.state.global_step, self.stage_name)
        return result

    def _reading(self: Any) -> Any:
        """Of trees; of TRL's padded rows where the model takes no masks of ours, or where a loss
        on its router counts every token of every row."""
        if not support_of(self.model).shared or getattr(self, "aux_loss_enabled", False):
            return contextlib.nullcontext()
        reference = getattr(self, "ref_model", None)
        reference = getattr(reference, "module", reference)  # in an engine of DeepSpeed
        models = [model for model in (self.model, reference) if model is not None]
        return reading_trees(*models, autocast=self.accelerator.autocast)

    def log(self: Any, logs: dict[str, float], start_time: float | None = None) -> None:
        """TRL counts tokens in an attribute that no checkpoint holds; the trainer's state is."""
        seen = self._metrics["train" if self.model.training else "eval"]
        if "num_tokens" in seen:
            seen["num_tokens"] = [float(self.state.num_input_tokens_seen)]
        super().log(logs, start_time)  # type: ignore[misc]


class PairDPOTrainer(_Careful, DPOTrainer):
    """DPOTrainer on rows of `dpo_columns`.

    TRL tokenises whatever it is given (and adds an eos of its own to plain text); its collator
    takes `prompt_ids`, `chosen_ids` and `rejected_ids`, which is what our rows hold.
    """

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset


class PairRewardTrainer(_Careful, RewardTrainer):
    """RewardTrainer on rows of `reward_columns`, which it takes as they are."""


def dpo_columns(rows: Sequence[PairRow]) -> Any:
    """Prompt and replies apart, as a data set."""
    return Dataset.from_list(
        [
            {
                "prompt_ids": list(row.prompt_ids),
                "chosen_ids": list(row.chosen_ids),
                "rejected_ids": list(row.rejected_ids),
            }
            for row in rows
        ]
    )


def reward_columns(rows: Sequence[PairRow]) -> Any:
    """Prompt and reply as one sequence, as a data set."""
    return Dataset.from_list(
        [
            {
                "chosen_ids": [*row.prompt_ids, *row.chosen_ids],
                "rejected_ids": [*row.prompt_ids, *row.rejected_ids],
            }
            for row in rows
        ]
    )
