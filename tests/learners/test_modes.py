"""Dropout where it belongs: never while replies are sampled, scored or learned from by playing;
and gradient checkpointing that computes layers twice, wherever it is asked for."""

from pathlib import Path

import numpy as np
import pytest
import torch
from made_traces import made_traces, tokens_of
from tiny_models import EXAMPLES, WIDER, made_pairs, tiny_policy
from transformers import AutoModelForCausalLM, FalconConfig, GPT2Config, MixtralConfig, OPTConfig

from tesuji.core.metric_log import MetricLog
from tesuji.learners.model import load
from tesuji.learners.model.adapter import with_adapter
from tesuji.learners.model.load import Policy, prepare_base
from tesuji.learners.model.tiny import build_tokenizer
from tesuji.learners.pairs.dpo import train_dpo
from tesuji.learners.pairs.reward import train_reward
from tesuji.learners.rl.token_layout import flatten
from tesuji.learners.rl.update.build import build_learner, loss_options
from tesuji.learners.rl.update.learn import score_rollout
from tesuji.learners.rl.update.loss import TokenData
from tesuji.learners.rl.update.optimizer_step import Tokens, rows_of, score, step
from tesuji.learners.rl.update.reference import Reference
from tesuji.learners.sft.train import train_sft
from tesuji.players.sampling.local import LocalSampler
from tesuji.players.sampling.modes import updating
from tesuji.players.sampling.support_check import require_support
from tesuji.recipe.schema.pairs import DpoStage, RewardStage
from tesuji.recipe.schema.rl import GrpoStage, PpoStage
from tesuji.recipe.schema.sections import LoraSection, ModelSection, PromptSection
from tesuji.recipe.schema.stages import SftStage

NOISY = {
    "gpt2": GPT2Config(vocab_size=264, n_embd=32, n_layer=2, n_head=2, n_positions=128),
    "opt": OPTConfig(
        vocab_size=264, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, ffn_dim=48,
        word_embed_proj_dim=32, attention_dropout=0.2, layerdrop=0.4,
    ),
    "falcon": FalconConfig(
        vocab_size=264, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        hidden_dropout=0.3, attention_dropout=0.3,
    ),
    "mixtral": MixtralConfig(
        vocab_size=264, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, intermediate_size=32, num_local_experts=2, attention_dropout=0.2,
        router_jitter_noise=0.5, sliding_window=None,
    ),
}  # fmt: skip


def noisy(family: str = "gpt2", lora: bool = False) -> Policy:
    torch.manual_seed(4)
    policy = Policy(AutoModelForCausalLM.from_config(NOISY[family]), build_tokenizer(), "")
    policy.model.eval()
    dropout = 0.0 if family == "mixtral" else 0.3  # PEFT takes none on its experts
    return with_adapter(policy, LoraSection(r=4, dropout=dropout)) if lora else policy


@pytest.mark.parametrize("family", NOISY)
@pytest.mark.parametrize("lora", [False, True])
def test_an_update_of_hardly_anything_finds_the_policy_as_it_was_scored(family: str, lora: bool):
    """At a learning rate of 1e-9 the log-probs of the second pass are those of the first."""
    stage = GrpoStage(learning_rate=1e-9, num_iterations=2)
    rollout, policy = flatten(made_traces()), noisy(family, lora)
    learner = build_learner(stage, policy, temperature=1.0)
    scores = score_rollout(stage, learner, None, rollout)
    data = tokens_of(rollout).data
    old = torch.tensor(scores.logps, dtype=torch.float32)
    tokens = Tokens(TokenData(data.advantages, old, old, None, None, None), torch.ones(len(old)))
    for _ in range(2):
        rows = rows_of(learner, rollout)
        figures = step(learner, rows, tokens, rollout.tokens, loss_options(stage, 1, 0.0))
        assert abs(figures["approx_kl"]) < 1e-6
        assert figures["clip_share"] == 0


def test_reference_and_critic_are_scored_without_dropout_and_every_module_stays_as_it_was():
    stage = PpoStage(beta=0.1)
    rollout, policy, critic = flatten(made_traces()), noisy(), noisy()
    learner = build_learner(stage, policy, temperature=1.0, critic=critic)
    torch.nn.init.normal_(learner.module.value_head.weight)
    policy.model.transformer.h[0].train()
    before = [module.training for module in learner.module.modules()]
    logps, values, *_ = score(learner, rollout)
    again, values_again, *_ = score(learner, rollout)
    reference = Reference(stage, policy.model).logps(learner, rollout)
    assert np.array_equal(logps, again)
    assert np.array_equal(logps, reference)
    assert np.array_equal(values, values_again)
    assert [module.training for module in learner.module.modules()] == before


@pytest.mark.parametrize("family", NOISY)
def test_in_an_update_all_modules_train_and_nothing_is_random(family: str):
    model = noisy(family, lora=True).model.eval()
    config = repr(model.config)
    rates = [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)]
    ids = torch.arange(3, 40).unsqueeze(0)
    plain = model(ids).logits
    with updating(model):
        assert all(module.training for module in model.modules())
        assert torch.equal(model(ids).logits, plain)
    assert not any(module.training for module in model.modules())
    assert repr(model.config) == config
    assert [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)] == rates
    model.train()
    assert not torch.equal(model(ids).logits, plain), "outside it, training has its dropout"


def test_sampling_has_no_dropout_whatever_mode_the_model_is_in():
    policy = noisy()
    sampler = LocalSampler(policy.model, policy.tokenizer)
    asked = [[(1, 2, 3), (4, 5)]]
    expected = sampler.score([[7, 8, 9]], asked)
    policy.model.train()
    assert sampler.score([[7, 8, 9]], asked) == expected
    assert policy.model.training


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Gets a 1 whenever a layer of a Qwen3 computes in train mode."""
    from transformers.models.qwen3.modeling_qwen3 import Qwen3MLP

    noted: list[int] = []
    forward = Qwen3MLP.forward

    def note(self, *arguments, **keywords):
        if self.training:
            noted.append(1)
        return forward(self, *arguments, **keywords)

    monkeypatch.setattr(Qwen3MLP, "forward", note)
    return noted


LAYERS, STEPS = 2, 2


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_checkpointing_in_an_rl_update_computes_layers_twice(passes, checkpointing, lora):
    stage = GrpoStage(gradient_checkpointing=checkpointing)
    rollout, policy = flatten(made_traces()), tiny_policy(shape=WIDER)
    if lora:
        policy = with_adapter(policy, LoraSection(r=4, dropout=0.3))
    policy.model.eval()  # as it is loaded
    learner = build_learner(stage, policy, temperature=1.0)
    passes.clear()  # of the check of the model
    for _ in range(STEPS):
        rows = rows_of(learner, rollout)
        step(learner, rows, tokens_of(rollout), rollout.tokens, loss_options(stage, 1, 0.0))
    score(learner, rollout)  # not in train mode
    assert len(passes) == STEPS * LAYERS * (1 + checkpointing)


@pytest.mark.parametrize("kind", ["sft", "dpo", "reward"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_checkpointing_in_a_stage_computes_layers_twice(
    tmp_path, passes, monkeypatch, checkpointing, kind
):
    keys = {"max_steps": STEPS, "batch_size": 4, "gradient_checkpointing": checkpointing}
    policy = tiny_policy()
    assert policy.support.shared
    passes.clear()  # of that check
    run = {
        "name": kind, "prompt": PromptSection(style="compact"), "out": tmp_path, "seed": 1,
        "metrics": MetricLog(tmp_path),
    }  # fmt: skip
    if kind == "sft":
        stage = SftStage.model_validate(keys | {"eval_steps": None})
        train_sft(stage, policy, train=EXAMPLES * 2, held_out=[], **run)
    elif kind == "dpo":
        stage = DpoStage.model_validate(keys | {"eval_steps": None})
        train_dpo(stage, policy, train=made_pairs(8, 1), held_out=[], **run)
    else:
        section = ModelSection(tiny=WIDER)
        source = prepare_base(section, tmp_path / "base", 1)
        stage = RewardStage.model_validate(keys | {"eval_steps": None})

        def checked(model, source: str, files: Path) -> None:
            require_support(model, source, files)
            passes.clear()  # of that check

        monkeypatch.setattr(load, "require_support", checked)
        train_reward(stage, section, source, train=made_pairs(8, 1), held_out=[], **run)
    assert len(passes) == STEPS * LAYERS * (1 + checkpointing)
