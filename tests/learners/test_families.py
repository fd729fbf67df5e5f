"""Families of models, each as it can be run: sampled, scored and trained as by plain forward
passes over one text at a time."""

import random
from collections.abc import Sequence

import pytest
import torch
from families import FAMILIES, family_model
from made_traces import assert_same, gradients, made_traces
from safetensors.torch import save_file

from tesuji.core.errors import EngineError
from tesuji.learners.model.load import load_policy
from tesuji.learners.model.tiny import build_tokenizer
from tesuji.learners.rl.token_layout import flatten
from tesuji.learners.rl.update.actor_critic import ActorCritic
from tesuji.learners.rl.update.batch import collate, micro_batches, row_of
from tesuji.learners.sft.collate import SoftCollator, reads_trees
from tesuji.learners.sft.soft_targets import score_batch
from tesuji.players.chat import stream_tokens
from tesuji.players.sampling.local import LocalSampler
from tesuji.players.sampling.modes import updating
from tesuji.players.sampling.support_check import support_of
from tesuji.players.sampling.token_draw import distribution, draw
from tesuji.recipe.schema.sections import ModelSection

NEW = 6
STOP = frozenset(range(10, 60))


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    return request.param, family_model(request.param)


def prompts() -> list[tuple[int, ...]]:
    """Of several lengths, longer than any window; two of them asked twice."""
    draw_ = random.Random(5)
    texts = [tuple(draw_.randrange(60, 256) for _ in range(n)) for n in (21, 9, 21, 14)]
    return [*texts, texts[0], texts[3]]


@torch.no_grad()
def plain_reply(model, prompt: Sequence[int], seed: int) -> tuple[list[int], list[float]]:
    """One reply by whole forward passes over one text."""
    uniform, ids, logprobs = random.Random(seed).random, [], []
    while len(ids) < NEW:
        logits = model(input_ids=torch.tensor([[*prompt, *ids]]), use_cache=False).logits[:, -1]
        token, logprob = draw(distribution(logits, 1.0, 1.0), torch.tensor([uniform()]))
        ids.append(int(token))
        logprobs.append(float(logprob))
        if ids[-1] in STOP:
            break
    return ids, logprobs


def test_the_way_is_found_and_said(family):
    name, model = family
    support = support_of(model)
    assert support.way == FAMILIES[name][0], support.in_words()
    assert support.own_head and support.train_mode
    assert support.worst < 2e-4
    assert support.shared or support.reason in support.in_words()


@pytest.mark.parametrize("reuse", [False, True])
def test_replies_are_those_of_one_text_at_a_time(family, reuse):
    _, model = family
    sampler = LocalSampler(model, build_tokenizer(), reuse=reuse)
    asked = prompts()
    for _ in range(2):
        seeds = range(len(asked))
        found = sampler.sample(
            asked, temperature=1.0, top_p=1.0, max_new_tokens=NEW, seeds=seeds, stop_ids=STOP
        )
        for prompt, seed, reply in zip(asked, seeds, found, strict=True):
            ids, logprobs = plain_reply(model, prompt, seed)
            assert list(reply.reply_ids) == ids
            assert reply.logprobs == pytest.approx(logprobs, abs=2e-4)
        asked = [(*one.prompt_ids, *one.reply_ids, 70, 71) for one in found]


def test_a_conversation_is_that_of_one_text_at_a_time(family):
    _, model = family
    prompt, uniform = prompts()[0], random.Random(2).random
    said = list(
        stream_tokens(
            model, prompt, temperature=1.0, top_p=1.0, max_new_tokens=NEW, stop_ids=STOP,
            uniform=uniform,
        )
    )  # fmt: skip
    expected, _ = plain_reply(model, prompt, 2)
    assert said == [token for token in expected if token not in STOP]


def test_scores_are_those_of_one_text_at_a_time(family):
    _, model = family
    asked, choices = prompts(), [[(3, 4, 5), (6, 7)], [(8,), (9, 3, 3, 1)]] * 3
    found = LocalSampler(model, build_tokenizer()).score(asked, choices)
    for prompt, some, scores in zip(asked, choices, found, strict=True):
        for choice, score in zip(some, scores, strict=True):
            with torch.no_grad():
                logps = logprobs_of(model, (*prompt, *choice))
            assert score == pytest.approx(float(logps[len(prompt) - 1 :].sum()), abs=1e-3)


def logprobs_of(model, text: Sequence[int]) -> torch.Tensor:
    """Log-probs [L - 1] of a text's tokens but the first."""
    logits = model(input_ids=torch.tensor([text]), use_cache=False).logits[0, :-1]
    return logits.float().log_softmax(-1).gather(-1, torch.tensor(text[1:]).unsqueeze(-1))[:, 0]


def test_an_update_has_the_gradient_of_one_text_at_a_time(family):
    _, model = family
    rollout = flatten(made_traces())
    actor = ActorCritic(model)
    trees = actor.widest_tree > 0
    firsts = zip(rollout.segments, rollout.first, strict=True)
    pieces = [row_of(segment, first, judged=False) for segment, first in firsts]
    found = torch.zeros(rollout.tokens)
    model.zero_grad()
    with updating(actor):
        for rows in micro_batches(pieces, 200, trees=trees):
            batch = collate(rows, torch.device("cpu"), trees=trees)
            logp = actor(batch).logp
            found[batch.index] = logp.detach()
            (torch.cos(batch.index.float()) * logp)[_free(batch)].sum().backward()
    ours = gradients(model)
    model.zero_grad()
    number = 0
    for segment in rollout.segments:
        logps = logprobs_of(model, segment.token_ids)
        for place, turn in enumerate(segment.turns):
            if turn >= 0 and place not in segment.allowed:
                assert float(found[number]) == pytest.approx(float(logps[place - 1]), abs=2e-4)
                (torch.cos(torch.tensor(float(number))) * logps[place - 1]).backward(
                    retain_graph=True
                )
            number += turn >= 0
    assert_same(gradients(model), ours, 1e-4)


def _free(batch) -> list[int]:
    """The tokens of a batch that were not limited to some."""
    limited = {place for place, _ in batch.allowed}
    return [t for t, place in enumerate(batch.asked.tolist()) if place not in limited]


def test_supervised_training_has_the_loss_and_gradient_of_one_text_at_a_time(family):
    name, model = family
    texts = [
        (*prompt, 3, 4, 5)[: len(prompt) + 1 + place % 3] for place, prompt in enumerate(prompts())
    ]
    rows = [
        {
            "input_ids": text,
            "reply_length": 1 + place % 3,
            "target_ids": [[token] for token in text[-(1 + place % 3) :]],
            "target_shares": [[1.0]] * (1 + place % 3),
        }
        for place, text in enumerate(texts)
    ]
    own_attention = name == "falcon"  # which would read a tree at the cost of a mask
    assert reads_trees(model) is (FAMILIES[name][0] == "shared" and not own_attention)
    batch = SoftCollator(0, trees=reads_trees(model))(rows)
    model.zero_grad()
    loss, _, _ = score_batch(model, batch, model)
    loss.backward()
    ours = gradients(model)
    model.zero_grad()
    total = torch.zeros(())
    for place, text in enumerate(texts):
        total = total - logprobs_of(model, text)[-(1 + place % 3) :].sum()
    total.backward()
    assert float(loss) == pytest.approx(float(total), rel=1e-4)
    assert_same(gradients(model), ours, 1e-4)


def test_rows_of_pairs_padded_behind_are_those_of_one_text_at_a_time(family):
    """As TRL batches them for DPO and reward models, and rewards are scored."""
    _, model = family
    texts = prompts()
    width = max(map(len, texts))
    ids = torch.tensor([[*text, *[0] * (width - len(text))] for text in texts])
    mask = torch.tensor([[1] * len(text) + [0] * (width - len(text)) for text in texts])
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        for text, row in zip(texts, logits, strict=True):
            logps = row[: len(text) - 1].log_softmax(-1)
            found = logps.gather(-1, torch.tensor(text[1:]).unsqueeze(-1))[:, 0]
            assert torch.allclose(found, logprobs_of(model, text), atol=2e-4)


@pytest.mark.parametrize("name", ["gpt_neo", "mpt", "falcon with alibi", "gemma2"])
def test_eager_attention_is_no_reason_to_share_what_cannot_be(name):
    """Eager attention of these takes a mask of ours, and windows or biases go wrong in silence."""
    assert support_of(family_model(name, "eager")).way == "padded"


@pytest.mark.parametrize("name", ["llama", "gemma2", "mpt", "mamba", "qwen3_next"])
def test_a_folder_loads_with_the_defaults_whatever_attention_its_model_knows(name, tmp_path):
    model = family_model(name)
    model.save_pretrained(tmp_path)
    build_tokenizer().save_pretrained(tmp_path)
    policy = load_policy(ModelSection(), str(tmp_path))
    assert policy.support.way == FAMILIES[name][0]
    text = prompts()[0]
    with torch.no_grad():
        assert torch.allclose(logprobs_of(policy.model, text), logprobs_of(model, text), atol=1e-4)


def test_no_causal_language_model_is_refused_in_words(tmp_path):
    from transformers import BartConfig, BartForCausalLM, BertConfig, BertLMHeadModel, T5Config

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertLMHeadModel(BertConfig(vocab_size=264, intermediate_size=16, **sizes)).save_pretrained(
        tmp_path / "bert"
    )
    bart = BartConfig(
        vocab_size=264, d_model=16, decoder_layers=1, decoder_ffn_dim=16,
        decoder_attention_heads=2, encoder_layers=1,
    )  # fmt: skip
    BartForCausalLM(bart).save_pretrained(tmp_path / "bart")
    T5Config(vocab_size=264, d_model=16).save_pretrained(tmp_path / "t5")
    save_file({}, tmp_path / "t5" / "model.safetensors")
    for name, words in {
        "bert": "depends on the tokens after it",
        "bart": "decoder of an encoder-decoder",
        "t5": "no causal language model",
    }.items():
        build_tokenizer().save_pretrained(tmp_path / name)
        with pytest.raises(EngineError, match=words):
            load_policy(ModelSection(), str(tmp_path / name))
