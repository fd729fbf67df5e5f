"""Replies share a row with their prompt: log-probs and gradient are those of one row a reply."""

import pytest
import torch
from made_traces import assert_same, gradients, made_traces, policy

from tesuji.learners.model.load import Policy
from tesuji.learners.model.tiny import build_tokenizer
from tesuji.learners.rl.token_layout import Flat, flatten
from tesuji.learners.rl.update.actor_critic import ActorCritic
from tesuji.learners.rl.update.batch import collate, micro_batches, pack
from tesuji.learners.rl.update.build import build_learner
from tesuji.learners.rl.update.optimizer_step import rows_of
from tesuji.recipe.schema.rl import GrpoStage


def packed(actor, flat: Flat, share: bool, budget: int = 4096):
    """Log-probs [N] and gradients of a weighted sum of everything the actor gives."""
    logps = torch.zeros(flat.tokens)
    actor.zero_grad()
    for rows in micro_batches(pack(flat.segments, flat.first, share=share, width=32), budget):
        batch = collate(rows, torch.device("cpu"))
        scored = actor(batch)
        logps[batch.index] = scored.logp.detach()
        weights = torch.cos(batch.index.float())
        total = (weights * (scored.logp + 0.1 * scored.entropy)).sum()
        if scored.values is not None:
            total = total + (weights * scored.values).sum()
        total.backward()
    return logps, gradients(actor)


@pytest.mark.parametrize("lora", [False, True])
def test_a_shared_prompt_changes_neither_log_probs_nor_gradient(lora: bool) -> None:
    flat = flatten(made_traces())
    actor = ActorCritic(
        policy(lora).model, temperature=0.7, with_values=True, value_grad=0.5, entropy_grad=True
    )
    torch.nn.init.normal_(actor.value_head.weight)
    apart, apart_gradients = packed(actor, flat, share=False)
    shared, shared_gradients = packed(actor, flat, share=True)
    assert torch.allclose(apart, shared, atol=1e-5)
    assert_same(apart_gradients, shared_gradients)
    assert len(pack(flat.segments, flat.first, share=True, width=32)) < len(flat.segments)


def test_log_probs_are_those_of_the_whole_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in chunks over the vocabulary, and against a plain forward pass, segment by segment."""
    from tesuji.learners.rl.update import actor_critic as module

    flat = flatten(made_traces())
    model = policy().model
    found, whole = packed(ActorCritic(model, temperature=0.7), flat, share=True)
    expected = []
    for segment in flat.segments:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([segment.token_ids])).logits[0] / 0.7
        for place, turn in enumerate(segment.turns):
            if turn < 0:
                continue
            row = logits[place - 1]
            if place in segment.allowed:
                row = torch.full_like(row, -torch.inf)
                some = list(segment.allowed[place])
                row[some] = logits[place - 1][some]
            expected.append(row.log_softmax(-1)[segment.token_ids[place]])
    assert torch.allclose(found, torch.stack(expected), atol=1e-5)
    monkeypatch.setattr(module, "CHUNK", 3 * 264)
    chunked, parts = packed(ActorCritic(model, temperature=0.7), flat, share=True)
    assert torch.allclose(found, chunked, atol=1e-6)
    assert_same(whole, parts)


def test_models_with_windowed_attention_get_a_row_a_reply() -> None:
    from transformers import AutoModelForCausalLM, Qwen2Config

    config = Qwen2Config(
        vocab_size=264, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, intermediate_size=64, use_sliding_window=True, sliding_window=8,
        max_window_layers=1,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config)
    learner = build_learner(GrpoStage(), Policy(model, build_tokenizer(), ""), temperature=1.0)
    flat = flatten(made_traces())
    assert len(rows_of(learner, flat)) == len(flat.segments)
