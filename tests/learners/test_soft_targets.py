"""Examples as tokens, and the loss over them: TRL's own trainer as the oracle."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from tiny_models import EXAMPLES, example, tiny_policy
from trl import SFTConfig, SFTTrainer

from tesuji.core.errors import DataError
from tesuji.learners.model.adapter import with_adapter
from tesuji.learners.model.load import Policy, load_policy
from tesuji.learners.model.tiny import build_tokenizer
from tesuji.learners.sft import soft_targets
from tesuji.learners.sft.collate import SoftCollator, to_columns
from tesuji.learners.sft.soft_targets import SoftTargetTrainer
from tesuji.learners.sft.tokens import TokenRow, tokenize
from tesuji.players.sampling.tree_attention import use_tree_attention
from tesuji.recipe.schema.sections import LoraSection, ModelSection


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


def our_trainer(
    rows: Sequence[TokenRow], out: Path, policy: Policy, *, trees: bool = True
) -> SoftTargetTrainer:
    config = SFTConfig(str(out), **OPTIONS, dataset_kwargs={"skip_prepare_dataset": True})
    return SoftTargetTrainer(
        model=policy.model,
        args=config,
        train_dataset=Dataset.from_list([to_columns(row) for row in rows]),
        processing_class=policy.tokenizer,
        data_collator=SoftCollator(policy.tokenizer.pad_token_id, trees=trees),
    )


def trls_trainer(rows: Sequence[TokenRow], out: Path, policy: Policy) -> SFTTrainer:
    """TRL's own, on the same rows with completion masks."""
    masked = [
        {
            "input_ids": [*row.prompt_ids, *row.reply_ids],
            "completion_mask": [0] * len(row.prompt_ids) + [1] * len(row.reply_ids),
        }
        for row in rows
    ]
    return SFTTrainer(
        model=policy.model,
        args=SFTConfig(str(out), **OPTIONS, completion_only_loss=True),
        train_dataset=Dataset.from_list(masked),
        processing_class=policy.tokenizer,
    )


Measured = tuple[float, torch.Tensor]


def loss_and_gradient(trainer: SFTTrainer) -> Measured:
    """Of one batch of all rows."""
    batch = trainer.data_collator(list(trainer.train_dataset))
    count = trainer._get_num_items_in_batch([batch], torch.device("cpu"))
    trainer.model.train()
    trainer.model.zero_grad()
    loss = trainer.compute_loss(trainer.model, batch, num_items_in_batch=count)
    loss.backward()
    gradients = [p.grad.flatten() for p in trainer.model.parameters() if p.requires_grad]
    return loss.item(), torch.cat(gradients)


def assert_equal(ours: Measured, theirs: Measured) -> None:
    assert ours[0] == pytest.approx(theirs[0], rel=1e-5)
    assert torch.linalg.norm(ours[1] - theirs[1]) < 1e-5 * torch.linalg.norm(theirs[1])


@pytest.mark.parametrize("trees", [True, False])
def test_loss_and_gradient_equal_trls_where_a_prompt_has_one_reply(tmp_path: Path, trees: bool):
    rows = tokenize([EXAMPLES[1], EXAMPLES[2], EXAMPLES[3]], build_tokenizer(), max_length=64).rows
    ours = loss_and_gradient(our_trainer(rows, tmp_path, tiny_policy(), trees=trees))
    assert_equal(ours, loss_and_gradient(trls_trainer(rows, tmp_path, tiny_policy())))


BOARDS = ["xo. ... ...", "xo. x.. ...", "xo. x.. o..", "... ... ..x", "xo. ... ..."]


def test_a_tree_of_a_real_models_rows_has_the_loss_and_gradient_of_plain_rows(
    tmp_path: Path, short_smollm2: Path
) -> None:
    base = str(short_smollm2)
    section = ModelSection(base=base, dtype="float32", device="cpu")
    policy = with_adapter(load_policy(section, base), LoraSection(r=4, alpha=8))
    with torch.no_grad():
        for name, parameter in policy.model.named_parameters():
            if "lora_B" in name:  # zero at first, which would leave lora_A without a gradient
                parameter.normal_(std=0.01)
    examples = [example(f"Tic-tac-toe. {board}", "48 or 5"[n:]) for n, board in enumerate(BOARDS)]
    soft = tokenize(examples, policy.tokenizer, max_length=99, soft_targets=True).rows
    tree = loss_and_gradient(our_trainer(soft, tmp_path, policy))
    assert_equal(tree, loss_and_gradient(our_trainer(soft, tmp_path, policy, trees=False)))
    hard = tokenize(examples[:4], policy.tokenizer, max_length=99).rows
    tree = loss_and_gradient(our_trainer(hard, tmp_path, policy))
    use_tree_attention(policy.model, on=False)
    assert_equal(tree, loss_and_gradient(trls_trainer(hard, tmp_path, policy)))


def test_logits_in_chunks_give_the_same_loss_gradient_and_metrics(tmp_path: Path, monkeypatch):
    rows = tokenize(EXAMPLES, build_tokenizer(), max_length=64, soft_targets=True).rows
    whole = our_trainer(rows, tmp_path, tiny_policy())
    right = loss_and_gradient(whole)
    monkeypatch.setattr(soft_targets, "CHUNK", 2 * len(build_tokenizer()))
    parts = our_trainer(rows, tmp_path, tiny_policy())
    assert_equal(loss_and_gradient(parts), right)
    for name in ("entropy", "mean_token_accuracy"):
        [part], [one] = parts._metrics["train"][name], whole._metrics["train"][name]
        assert part == pytest.approx(one, rel=1e-5)


def test_metrics_are_of_reply_tokens_as_often_as_rows_have_them(tmp_path: Path):
    """Worked out one row at a time, from the model's own logits."""
    policy = tiny_policy()
    rows = tokenize([*EXAMPLES, EXAMPLES[0]], policy.tokenizer, max_length=64, soft_targets=True)
    trainer = our_trainer(rows.rows, tmp_path, policy)
    loss_and_gradient(trainer)
    entropies, hits = [], []
    for row in rows.rows:
        ids = torch.tensor([[*row.prompt_ids, *row.reply_ids]])
        places = policy.model(input_ids=ids).logits[0, len(row.prompt_ids) - 1 : -1]
        entropies += torch.distributions.Categorical(logits=places).entropy().tolist()
        hits += [int(one.argmax()) in t for one, t in zip(places, row.targets, strict=True)]
    assert trainer._metrics["train"]["entropy"] == [pytest.approx(sum(entropies) / len(hits))]
    accuracy = trainer._metrics["train"]["mean_token_accuracy"]
    assert accuracy == [pytest.approx(sum(hits) / len(hits))]


def test_rows_that_are_all_cut_further_than_in_play_are_an_error() -> None:
    rows = [example("a" * 30, "1"), example("b" * 40, "2")]
    with pytest.raises(DataError, match="every one of the 2 prompts loses its beginning"):
        tokenize(rows, build_tokenizer(), max_length=20)
    assert tokenize(rows, build_tokenizer(), max_length=20, shown=10).cut == 2
    as_in_play = tokenize(rows, build_tokenizer(), max_length=200, shown=10)
    assert [len(row.prompt_ids) for row in as_in_play.rows] == [10, 10] and as_in_play.cut == 2
    assert tokenize([*rows, example("c", "3")], build_tokenizer(), max_length=20).cut == 2
