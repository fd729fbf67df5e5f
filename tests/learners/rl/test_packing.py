"""Segments become a tree of tokens: log-probs, values and gradient are those of one row each."""

from pathlib import Path

import pytest
import torch
from made_traces import assert_same, gradients, made_traces, policy

from tesuji.core.types import Segment, Trace
from tesuji.learners.model.adapter import with_adapter
from tesuji.learners.model.load import Policy, load_policy
from tesuji.learners.model.tiny import build_tokenizer
from tesuji.learners.rl.token_layout import Flat, flatten
from tesuji.learners.rl.update.actor_critic import ActorCritic
from tesuji.learners.rl.update.batch import collate, micro_batches, row_of
from tesuji.learners.rl.update.build import build_learner
from tesuji.learners.rl.update.optimizer_step import rows_of
from tesuji.players.prompting.chat_template import render_prompt
from tesuji.recipe.schema.rl import GrpoStage
from tesuji.recipe.schema.sections import LoraSection, ModelSection


def rows_for(actor, flat: Flat):
    judged = actor.value_head is not None
    pairs = zip(flat.segments, flat.first, strict=True)
    return [row_of(segment, first, judged=judged) for segment, first in pairs]


def scored(actor, flat: Flat, trees: bool, budget: int = 4096):
    """Log-probs, values before and after [N] (without a critic 0), and gradients of a weighted sum
    of everything the actor gives."""
    found = torch.zeros(3, flat.tokens)
    actor.zero_grad()
    for rows in micro_batches(rows_for(actor, flat), budget, trees=trees):
        batch = collate(rows, torch.device("cpu"), trees=trees)
        tokens = actor(batch)
        weights = torch.cos(batch.index.float())
        total = (weights * (tokens.logp + 0.1 * tokens.entropy)).sum()
        if tokens.values is not None:
            total = total + (weights * (tokens.values + 0.5 * tokens.after)).sum()
            found[1:, batch.index] = torch.stack([tokens.values, tokens.after]).detach()
        found[0, batch.index] = tokens.logp.detach()
        total.backward()
    return found, gradients(actor)


def critical(model) -> ActorCritic:
    actor = ActorCritic(model, temperature=0.7, with_values=True, value_grad=0.5, entropy_grad=True)
    torch.manual_seed(1)
    torch.nn.init.normal_(actor.value_head.weight, std=0.02)
    return actor


@pytest.mark.parametrize("lora", [False, True])
def test_a_tree_changes_neither_log_probs_nor_values_nor_gradient(lora: bool) -> None:
    flat, actor = flatten(made_traces()), critical(policy(lora).model)
    apart, apart_gradients = scored(actor, flat, trees=False)
    for budget in (4096, 64):
        together, together_gradients = scored(actor, flat, trees=True, budget=budget)
        assert torch.allclose(apart, together, atol=1e-5)
        assert_same(apart_gradients, together_gradients)


def nested(tokenizer) -> Flat:
    """Two prompts with the same system line and rules; two replies are equal, two begin alike, and
    one is read on with another turn. The same place may allow other tokens."""

    def ids(text: str) -> tuple[int, ...]:
        return tuple(tokenizer(text, add_special_tokens=False).input_ids)

    traces = []
    games = (
        ("x.o", "cell 3", ""),
        ("x.o", "cell 3", ""),
        ("xo.", "cell 3", ""),
        ("xo.", "cell", "4"),
    )
    for board, reply, more in games:
        prompt = tuple(render_prompt(tokenizer, [{"role": "user", "content": f"Play {board}"}]))
        first, again = ids(reply), ids(more)
        read = ids("!") if again else ()
        tokens = prompt + first + read + again
        turns = [-1] * len(prompt) + [0] * len(first) + [-1] * len(read) + [1] * len(again)
        limited = {len(prompt): (first[0], 5, 9)} if len(traces) == 1 else {}
        segment = Segment(tokens, tuple(turns), (0.0,) * len(tokens), limited)
        traces.append(Trace((segment,), (1.0, 0.0), "g", 0, "", board, ""))
    return flatten(traces)


def test_so_with_a_model_that_people_trained(short_smollm2: Path) -> None:
    base = str(short_smollm2)
    plain = load_policy(ModelSection(base=base, dtype="float32", device="cpu"), base)
    adapted = with_adapter(plain, LoraSection(r=2))
    for name, parameter in adapted.model.named_parameters():
        if "lora_B" in name:  # zero at first: then half of the gradients would be zero, too
            torch.nn.init.normal_(parameter, std=0.02)
    flat, actor = nested(plain.tokenizer), critical(adapted.model)
    apart, apart_gradients = scored(actor, flat, trees=False)
    together, together_gradients = scored(actor, flat, trees=True)
    assert torch.allclose(apart, together, rtol=1e-5, atol=1e-5)
    assert_same(apart_gradients, together_gradients)
    tree = collate(rows_for(actor, flat), torch.device("cpu"), trees=True)
    assert tree.ids.numel() < 0.4 * sum(len(segment.token_ids) for segment in flat.segments)
    assert len(tree.places) < flat.tokens, "what follows one text is computed once"


def test_log_probs_are_those_of_the_whole_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in chunks over the vocabulary, and against a plain forward pass, segment by segment."""
    from tesuji.learners.rl.update import actor_critic as module

    flat = flatten(made_traces())
    model = policy().model
    (found, *_), whole = scored(ActorCritic(model, temperature=0.7), flat, trees=True)
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
    (chunked, *_), parts = scored(ActorCritic(model, temperature=0.7), flat, trees=True)
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
    assert not learner.trees
    rows = rows_of(learner, flatten(made_traces()))
    assert learner.batch(rows).ids.shape[0] == len(rows)
