"""Batches of pairs read as token trees: TRL's own numbers, every common beginning read once."""

from pathlib import Path
from typing import Any

import pytest
import torch
from families import family_model
from tiny_models import made_pairs, pair
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification
from trl import DPOTrainer, RewardTrainer

from tesuji.learners.model.adapter import with_adapter
from tesuji.learners.model.load import Policy, load_policy
from tesuji.learners.model.tiny import build_tokenizer
from tesuji.learners.pairs.dpo import DpoLearner
from tesuji.learners.pairs.reward import RewardLearner
from tesuji.learners.pairs.tokens import tokenize_pairs
from tesuji.learners.pairs.train import PairLearner, make_trainer
from tesuji.learners.reward_model.model import new_reward_model, score_ids
from tesuji.players.sampling.modes import updating
from tesuji.players.sampling.support import TREE_ATTENTION, attention_of
from tesuji.players.sampling.support_check import support_of
from tesuji.recipe.schema.pairs import DpoStage, RewardStage
from tesuji.recipe.schema.sections import LoraSection, ModelSection, PromptSection

PROMPT = PromptSection(style="compact", answer="id")
LOG_2 = torch.tensor(2.0).log().item()
LORA = LoraSection(r=4, alpha=8, dropout=0.0)
RULES = "The larger of the two wins: "
PAIRS = [  # a common beginning, an own one, replies that begin alike, one prompt twice
    *(pair(RULES + p.prompt[0]["content"], p.chosen, p.rejected) for p in made_pairs(4, 3)),
    pair("another", "12 a", "12 bcd"),
    pair("another", "12 a", "7"),
]
LOSSES: list[dict[str, Any]] = [
    {"loss_type": "sigmoid"},
    {"loss_type": "robust", "label_smoothing": 0.2},
    {"loss_type": "ipo", "beta": 0.5},
    {"loss_type": "apo_zero"},
]


def batch_of(learner: PairLearner, out: Path, pairs: list[Any] = PAIRS) -> tuple[Any, Any]:
    """The learner's trainer, and a batch as it gets them."""
    rows = tokenize_pairs(pairs, learner.policy.tokenizer, PROMPT, 512)
    trainer = make_trainer(learner, rows, rows, name="x", out=out, seed=1)
    return trainer, trainer.data_collator([trainer.train_dataset[i] for i in range(len(pairs))])


def moved(model: Any) -> None:
    """Weights that are no longer the reference's."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.02)


def step(trainer: Any, of: type, batch: Any) -> tuple[float, dict[str, Any], list[torch.Tensor]]:
    """The loss as this class computes it, what it logs, and the gradients."""
    trainer.model.train().zero_grad()
    trainer._metrics["train"].clear()
    loss = of.compute_loss(trainer, trainer.model, dict(batch))
    loss.backward()
    gradients = [p.grad.clone() for p in trainer.model.parameters() if p.grad is not None]
    return loss.item(), dict(trainer._metrics["train"]), gradients


def assert_trls_own(trainer: Any, theirs: type, batch: Any) -> None:
    loss, logged, gradients = step(trainer, type(trainer), batch)
    their_loss, they_log, their_gradients = step(trainer, theirs, batch)
    assert loss == pytest.approx(their_loss, abs=1e-5)
    assert logged.keys() == they_log.keys() > {"num_tokens"}
    for name in logged.keys() - {"num_tokens"}:
        assert logged[name] == pytest.approx(they_log[name], abs=1e-5), name
    assert gradients and len(gradients) == len(their_gradients)
    for one, other in zip(gradients, their_gradients, strict=True):
        assert (one - other).abs().max() <= 1e-5 * max(1.0, float(other.abs().max()))


def tokens_read(model: Any, sizes: list[int]) -> Any:
    """Count what goes into the model's layers from now on."""
    assert support_of(model)  # which reads a few tokens itself
    return model.get_input_embeddings().register_forward_pre_hook(
        lambda module, args: sizes.append(args[0].numel())
    )


def distinct(batch: Any) -> int:
    """How many distinct beginnings the rows of a batch have."""
    rows = zip(batch["input_ids"].tolist(), batch["attention_mask"].sum(1).tolist(), strict=True)
    return len({tuple(row[:end]) for row, size in rows for end in range(1, size + 1)})


def policy_of(model: Any) -> Policy:
    return Policy(model, build_tokenizer(), "")


@pytest.mark.parametrize("keys", LOSSES, ids=lambda keys: keys["loss_type"])
def test_dpo_is_trls_own_loss_with_every_beginning_read_once(tmp_path: Path, keys: dict[str, Any]):
    policy = with_adapter(policy_of(family_model("llama")), LORA)
    trainer, batch = batch_of(DpoLearner(DpoStage(**keys), policy), tmp_path)
    moved(policy.model)
    sizes: list[int] = []
    hook = tokens_read(policy.model, sizes)
    step(trainer, type(trainer), batch)
    hook.remove()
    assert sizes == [distinct(batch)] * 2  # the policy, and its reference
    assert sizes[0] < batch["attention_mask"].sum() / 2
    assert_trls_own(trainer, DPOTrainer, batch)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["gpt2", "granite", "qwen3", "opt"])
def test_dpo_of_whole_models_of_several_families(tmp_path: Path, family: str, attention: str):
    policy = policy_of(family_model(family, attention))
    assert support_of(policy.model).shared
    assert (attention_of(policy.model) == TREE_ATTENTION) == (attention == "sdpa")
    trainer, batch = batch_of(DpoLearner(DpoStage(), policy), tmp_path)
    with updating(policy.model):  # OPT has dropouts that TRL does not turn off
        assert step(trainer, type(trainer), batch)[0] == LOG_2
        moved(policy.model)
        assert_trls_own(trainer, DPOTrainer, batch)


def test_trees_are_no_larger_than_a_mask_of_everything_should_be(tmp_path: Path):
    policy = policy_of(family_model("llama", "eager"))
    pairs = [pair(f"{n}{'x' * 150}", "1", "2") for n in range(8)]
    trainer, batch = batch_of(DpoLearner(DpoStage(), policy), tmp_path, pairs)
    moved(policy.model)
    sizes: list[int] = []
    hook = tokens_read(policy.model, sizes)
    step(trainer, type(trainer), batch)
    hook.remove()
    assert len(sizes) == 2 and max(sizes) <= 1024 < sum(sizes)
    assert_trls_own(trainer, DPOTrainer, batch)


def test_a_model_that_takes_no_masks_of_ours_reads_trls_rows(tmp_path: Path):
    policy = policy_of(family_model("mistral with a window"))
    trainer, batch = batch_of(DpoLearner(DpoStage(), policy), tmp_path)
    moved(policy.model)
    sizes: list[int] = []
    hook = tokens_read(policy.model, sizes)
    assert step(trainer, type(trainer), batch)[0] == step(trainer, DPOTrainer, batch)[0]
    hook.remove()
    assert set(sizes) == {batch["input_ids"].numel()}


def test_a_router_that_is_paid_for_its_balance_counts_every_token(tmp_path: Path):
    keys = {"output_router_logits": True, "router_aux_loss_coef": 0.1, "num_local_experts": 4}
    model = small_model("mixtral", **keys)
    trainer, batch = batch_of(DpoLearner(DpoStage(), policy_of(model)), tmp_path)
    assert "aux_loss" in step(trainer, type(trainer), batch)[1]
    assert_trls_own(trainer, DPOTrainer, batch)


def small_model(kind: str, made_by: Any = AutoModelForCausalLM, **keys: Any) -> Any:
    config = AutoConfig.for_model(
        kind, vocab_size=264, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=48, max_position_embeddings=512, pad_token_id=256,
        **keys,
    )  # fmt: skip
    torch.manual_seed(3)
    return made_by.from_config(config, dtype=torch.float32).eval()


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_a_reward_model_is_trls_own_loss_with_every_beginning_read_once(tmp_path: Path, kind: str):
    policy = policy_of(small_model(kind, AutoModelForSequenceClassification, num_labels=1))
    stage = RewardStage(center_rewards_coefficient=0.1)
    trainer, batch = batch_of(RewardLearner(stage, policy, PROMPT), tmp_path)
    moved(policy.model)
    sizes: list[int] = []
    hook = tokens_read(policy.model, sizes)
    step(trainer, type(trainer), batch)
    hook.remove()
    assert sizes == [distinct(batch)]
    assert_trls_own(trainer, RewardTrainer, batch)


def test_rewards_are_read_in_trees_of_so_many_tokens():
    model = small_model("llama", AutoModelForSequenceClassification, num_labels=1)
    moved(model)
    texts = [[*range(40), n, *range(n)] for n in (50, 3, 7, 3, 90)]
    alone = [model(input_ids=torch.tensor([text])).logits.item() for text in texts]
    for most, passes in ((1000, 1), (150, 2), (10, 5)):
        sizes: list[int] = []
        hook = tokens_read(model, sizes)
        assert score_ids(model, texts, 256, most) == pytest.approx(alone, abs=1e-5)
        hook.remove()
        assert len(sizes) == passes
    assert score_ids(model, [], 256, 10) == []


SHORT = [pair("2+2? ", "4", "5"), pair("2+3? ", "5", "4, I think")]


@pytest.fixture
def smollm2_section(short_smollm2: Path) -> ModelSection:
    return ModelSection(base=str(short_smollm2), dtype="float32", device="cpu", lora=LORA)


def test_dpo_of_smollm2_is_trls_own(tmp_path: Path, smollm2_section: ModelSection):
    policy = with_adapter(load_policy(smollm2_section, smollm2_section.base), LORA)
    trainer, batch = batch_of(DpoLearner(DpoStage(), policy), tmp_path, SHORT)
    moved(policy.model)
    assert_trls_own(trainer, DPOTrainer, batch)


def test_a_reward_model_of_smollm2_is_trls_own(tmp_path: Path, smollm2_section: ModelSection):
    policy = new_reward_model(smollm2_section, smollm2_section.base, 1)
    trainer, batch = batch_of(RewardLearner(RewardStage(), policy, PROMPT), tmp_path, SHORT)
    moved(policy.model)
    assert_trls_own(trainer, RewardTrainer, batch)
