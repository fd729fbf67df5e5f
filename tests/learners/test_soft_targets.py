"""Examples as tokens, and the loss over them: TRL's own trainer as the oracle."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from tiny_models import EXAMPLES, example, tiny_policy
from trl import SFTConfig, SFTTrainer

from tesuji.core.errors import DataError
from tesuji.learners.model.tiny import build_tokenizer
from tesuji.learners.sft.soft_targets import SoftCollator, SoftTargetTrainer, to_columns
from tesuji.learners.sft.tokens import TokenRow, tokenize


def test_long_prompts_lose_their_beginning_and_are_counted():
    tokenizer = build_tokenizer()
    rows = [example("a" * 50 + "Z", "7"), example("b", "8"), example("c", "9" * 40)]
    found = tokenize(rows, tokenizer, max_length=20)
    assert (found.cut, found.dropped, len(found.rows)) == (1, 1, 2)
    assert tokenizer.decode(list(found.rows[0].prompt_ids)).endswith("Z\n")
    assert all(len(row.prompt_ids) + len(row.reply_ids) <= 20 for row in found.rows)


def test_nothing_left_to_train_on_is_an_error():
    with pytest.raises(DataError, match="no training row fits"):
        tokenize([example("a", "1" * 40)], build_tokenizer(), max_length=10)


def test_soft_targets_share_each_token_among_the_replies_that_begin_alike():
    tokenizer = build_tokenizer()
    rows = tokenize(
        [example("p", "12"), example("p", "13"), example("p", "4"), example("q", "5")],
        tokenizer,
        max_length=20,
        soft_targets=True,
    ).rows
    ids = {char: tokenizer.encode(char)[0] for char in "12345"}
    first = rows[0].targets
    assert first[0] == pytest.approx({ids["1"]: 2 / 3, ids["4"]: 1 / 3})
    assert first[1] == pytest.approx({ids["2"]: 1 / 2, ids["3"]: 1 / 2})
    assert first[2] == {tokenizer.eos_token_id: 1.0}
    assert rows[3].targets[0] == {ids["5"]: 1.0}


OPTIONS = {
    "per_device_train_batch_size": 3,
    "report_to": "none",
    "use_cpu": True,
    "bf16": False,
    "max_length": None,
    "gradient_checkpointing": False,
}


def our_trainer(rows: Sequence[TokenRow], out: Path) -> SoftTargetTrainer:
    config = SFTConfig(str(out), **OPTIONS, dataset_kwargs={"skip_prepare_dataset": True})
    return SoftTargetTrainer(
        model=tiny_policy().model,
        args=config,
        train_dataset=Dataset.from_list([to_columns(row) for row in rows]),
        processing_class=build_tokenizer(),
        data_collator=SoftCollator(build_tokenizer().pad_token_id),
    )


def trls_trainer(rows: Sequence[TokenRow], out: Path) -> SFTTrainer:
    """TRL's own, on the same rows with completion masks."""
    masked = [
        {
            "input_ids": [*row.prompt_ids, *row.reply_ids],
            "completion_mask": [0] * len(row.prompt_ids) + [1] * len(row.reply_ids),
        }
        for row in rows
    ]
    return SFTTrainer(
        model=tiny_policy().model,
        args=SFTConfig(str(out), **OPTIONS, completion_only_loss=True),
        train_dataset=Dataset.from_list(masked),
        processing_class=build_tokenizer(),
    )


def loss_and_gradient(trainer: SFTTrainer) -> tuple[float, torch.Tensor]:
    """Of one batch of all rows."""
    batch = trainer.data_collator(list(trainer.train_dataset))
    count = trainer._get_num_items_in_batch([batch], torch.device("cpu"))
    trainer.model.train()
    trainer.model.zero_grad()
    loss = trainer.compute_loss(trainer.model, batch, num_items_in_batch=count)
    loss.backward()
    return loss.item(), torch.cat([p.grad.flatten() for p in trainer.model.parameters()])


def test_loss_and_gradient_equal_trls_where_a_prompt_has_one_reply(tmp_path: Path):
    rows = tokenize([EXAMPLES[1], EXAMPLES[2], EXAMPLES[3]], build_tokenizer(), max_length=64).rows
    our_loss, our_gradient = loss_and_gradient(our_trainer(rows, tmp_path))
    their_loss, their_gradient = loss_and_gradient(trls_trainer(rows, tmp_path))
    assert our_loss == pytest.approx(their_loss, rel=1e-5)
    assert torch.linalg.norm(our_gradient - their_gradient) < 1e-5 * torch.linalg.norm(
        their_gradient
    )


def test_rows_that_are_all_cut_further_than_in_play_are_an_error() -> None:
    rows = [example("a" * 30, "1"), example("b" * 40, "2")]
    with pytest.raises(DataError, match="every one of the 2 prompts loses its beginning"):
        tokenize(rows, build_tokenizer(), max_length=20)
    assert tokenize(rows, build_tokenizer(), max_length=20, shown=10).cut == 2
    as_in_play = tokenize(rows, build_tokenizer(), max_length=200, shown=10)
    assert [len(row.prompt_ids) for row in as_in_play.rows] == [10, 10] and as_in_play.cut == 2
    assert tokenize([*rows, example("c", "3")], build_tokenizer(), max_length=20).cut == 2
