"""The local sampler against bare forward passes of the model it samples from."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM

from tesuji.core.errors import EngineError
from tesuji.learners.model.tiny import build_tokenizer
from tesuji.players.sampling.legal_tokens import TokenTrie, certain
from tesuji.players.sampling.local import LocalSampler
from tesuji.players.sampling.token_draw import distribution, draw

TOKENIZER = build_tokenizer()
END = TOKENIZER.eos_token_id
SEVERAL = [[5, 6, 7, 8], [9] * 13, [1, 2], [5, 6, 7, 8], [30, 31, 32, 33, 34, 35, 36], [1, 2]]


def build(architecture, **changes):
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        architecture,
        vocab_size=264,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.15,
        **changes,
    )
    return AutoModelForCausalLM.from_config(config).eval()


MODELS = {name: build(name) for name in ("qwen2", "qwen3", "llama")}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Models this small are slower on several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]


def sample(model, prompts, *, batch_size=256, **changes):
    settings = {
        "temperature": 1.0,
        "top_p": 1.0,
        "max_new_tokens": 6,
        "seeds": range(len(prompts)),
        "stop_ids": frozenset({END}),
    }
    return LocalSampler(model, TOKENIZER, batch_size=batch_size).sample(
        prompts, **(settings | changes)
    )


def bare_logits(model, prompt, reply):
    """Logits [T, V] of a whole sequence in one forward pass: no cache, no batch, no padding."""
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[*prompt, *reply]])).logits[0]
    return logits[len(prompt) - 1 : -1]


def nucleus(probs, top_p):
    """Top-p written as its definition: add the likeliest until there is enough."""
    kept, total = {}, 0.0
    for token in sorted(range(len(probs)), key=lambda token: -probs[token]):
        kept[token] = probs[token]
        total += probs[token]
        if total >= top_p:
            break
    return {token: prob / total for token, prob in kept.items()}


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
@pytest.mark.parametrize("batch_size", [256, 4, 1])
def test_logprobs_are_those_of_a_bare_forward_pass(model, temperature, batch_size):
    replies = sample(model, SEVERAL, temperature=temperature, batch_size=batch_size)
    for prompt, said in zip(SEVERAL, replies, strict=True):
        assert said.prompt_ids == tuple(prompt) and len(said.reply_ids) == len(said.logprobs)
        expected = (bare_logits(model, prompt, said.reply_ids) / temperature).log_softmax(-1)
        expected = expected[range(len(said.reply_ids)), said.reply_ids]
        torch.testing.assert_close(torch.tensor(said.logprobs), expected, atol=1e-4, rtol=0)


def test_top_p_samples_from_the_renormalised_nucleus(model):
    for prompt, said in zip(SEVERAL, sample(model, SEVERAL, top_p=0.6), strict=True):
        probs = bare_logits(model, prompt, said.reply_ids).softmax(-1).tolist()
        for token, logprob, row in zip(said.reply_ids, said.logprobs, probs, strict=True):
            assert math.exp(logprob) == pytest.approx(nucleus(row, 0.6)[token], abs=1e-4)


def test_temperature_zero_takes_the_likeliest_with_certainty(model):
    for prompt, said in zip(SEVERAL, sample(model, SEVERAL, temperature=0.0), strict=True):
        expected = bare_logits(model, prompt, said.reply_ids).argmax(-1).tolist()
        assert list(said.reply_ids) == expected
        assert set(said.logprobs) == {0.0}


def test_a_reply_does_not_depend_on_its_neighbours(model):
    seeds = [3, 1, 4, 1, 5, 9]
    together = sample(model, SEVERAL, seeds=seeds, max_new_tokens=12)
    backwards = sample(model, SEVERAL[::-1], seeds=seeds[::-1], max_new_tokens=12, batch_size=2)
    alone = [
        sample(model, [prompt], seeds=[seed], max_new_tokens=12)[0]
        for prompt, seed in zip(SEVERAL, seeds, strict=True)
    ]
    for replies in (together, backwards[::-1]):
        assert [said.reply_ids for said in replies] == [said.reply_ids for said in alone]
        for said, other in zip(replies, alone, strict=True):
            assert said.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_identical_prompts_are_read_once_and_answered_apart():
    model = MODELS["qwen3"]
    read = []
    handle = model.register_forward_pre_hook(
        lambda module, args, inputs: read.append(tuple(inputs["input_ids"].shape)),
        with_kwargs=True,
    )
    replies = sample(
        model, [[1, 2, 3]] * 5 + [[4, 5, 6]] * 3, max_new_tokens=2, stop_ids=frozenset()
    )
    handle.remove()
    assert read == [(2, 3), (8, 1)]
    assert len({said.reply_ids for said in replies[:5]}) > 1


def test_samples_follow_the_softmax():
    """Pearson's chi-square over the ten likeliest tokens and the rest, 5,000 draws."""
    logits = bare_logits(MODELS["qwen3"], [7, 8, 9], [0])[0]
    replies = sample(MODELS["qwen3"], [[7, 8, 9]] * 5_000, max_new_tokens=1, seeds=range(5_000))
    counts = Counter(said.reply_ids[0] for said in replies)
    probs, tokens = logits.softmax(-1).topk(10)
    expected = [5_000 * p for p in probs.tolist()]
    seen = [counts[token] for token in tokens.tolist()]
    expected.append(5_000 - sum(expected))
    seen.append(5_000 - sum(seen))
    chi_square = sum((s - e) ** 2 / e for s, e in zip(seen, expected, strict=True))
    assert chi_square < 29.6  # 0.999 quantile at 10 degrees of freedom


def test_a_stop_token_ends_the_reply_and_is_part_of_it():
    model = MODELS["qwen2"]
    free = sample(model, SEVERAL, stop_ids=frozenset())
    stops = frozenset({free[0].reply_ids[2], free[1].reply_ids[1]})
    for said, whole in zip(sample(model, SEVERAL, stop_ids=stops), free, strict=True):
        ends = [i for i, token in enumerate(whole.reply_ids) if token in stops]
        assert said.stopped == bool(ends)
        assert said.reply_ids == whole.reply_ids[: ends[0] + 1 if ends else 6]


def test_no_forward_pass_after_the_last_token():
    model = MODELS["qwen2"]
    passes = []
    handle = model.register_forward_hook(lambda *_: passes.append(1))
    sample(model, SEVERAL, max_new_tokens=3, stop_ids=frozenset())
    handle.remove()
    assert len(passes) == 3


CHOICES = [[10, 11, END], [10, 11, 12, END], [10, 13, END], [20, END]]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_only_choices_are_sampled(model, temperature):
    settings = {"choices": [CHOICES] * 40, "seeds": range(40), "temperature": temperature}
    replies = sample(model, [[1, 2]] * 20 + [[3, 4, 5]] * 20, **settings)
    assert all(list(said.reply_ids) in CHOICES and said.stopped for said in replies)
    if temperature:
        assert len({said.reply_ids for said in replies}) > 1


def test_the_logprobs_of_a_choice_are_those_of_the_masked_distribution(model):
    trie = TokenTrie(CHOICES)
    for said in sample(model, [[1, 2]] * 20, choices=[CHOICES] * 20, temperature=0.7):
        logits = bare_logits(model, [1, 2], said.reply_ids) / 0.7
        for step, token in enumerate(said.reply_ids):
            allowed = trie.allowed(said.reply_ids[:step])
            masked = logits[step][allowed].log_softmax(-1)[allowed.index(token)]
            assert said.logprobs[step] == pytest.approx(masked.item(), abs=1e-4)


def test_free_rows_and_rows_with_choices_share_a_batch(model):
    free, chosen = sample(model, [[1, 2], [1, 2]], choices=[None, CHOICES], seeds=[1, 1])
    assert free.reply_ids == sample(model, [[1, 2]], seeds=[1])[0].reply_ids
    alone = sample(model, [[1, 2]], seeds=[1], choices=[CHOICES])[0]
    assert chosen.reply_ids == alone.reply_ids and list(chosen.reply_ids) in CHOICES


def test_an_only_choice_needs_no_model():
    said = sample(None_model(), [[1, 2]], choices=[[[4, 5, END]]])[0]
    assert said.reply_ids == (4, 5, END) and said.stopped and said.logprobs == (0.0, 0.0, 0.0)


def None_model():  # noqa: N802 - a model that breaks when it is asked
    model = build("llama")
    model.forward = None
    return model


def test_a_cut_reply_is_not_stopped(model):
    assert all(not said.stopped for said in sample(model, SEVERAL, stop_ids=frozenset()))
    cut = sample(model, [[1, 2]], choices=[[[4, 5, 6, END]]], max_new_tokens=2)[0]
    assert cut.reply_ids == (4, 5) and not cut.stopped


def test_scores_are_sums_over_a_bare_forward_pass(model):
    choices = [CHOICES, [[1, 2, 3, 4, 5]], [], CHOICES[:2], CHOICES, [[7]]]
    for batch_size in (256, 3):
        scores = LocalSampler(model, TOKENIZER, batch_size=batch_size).score(SEVERAL, choices)
        assert [len(row) for row in scores] == [4, 1, 0, 2, 4, 1]
        for prompt, some, row in zip(SEVERAL, choices, scores, strict=True):
            for choice, score in zip(some, row, strict=True):
                logprobs = bare_logits(model, prompt, choice).log_softmax(-1)
                expected = logprobs[range(len(choice)), choice].sum().item()
                assert score == pytest.approx(expected, abs=1e-4)


def test_sliding_windows_are_kept():
    model = build("qwen2", use_sliding_window=True, sliding_window=4, max_window_layers=1)
    said = sample(model, SEVERAL, max_new_tokens=10)[1]
    expected = bare_logits(model, SEVERAL[1], said.reply_ids).log_softmax(-1)
    expected = expected[range(len(said.reply_ids)), said.reply_ids]
    assert said.logprobs == pytest.approx(expected.tolist(), abs=1e-4)


def test_the_model_is_left_in_the_mode_it_was_in():
    model = build("qwen3", attention_dropout=0.5)
    model.train()
    model.lm_head.eval()
    noisy = sample(model, SEVERAL)
    assert model.training and model.model.training and not model.lm_head.training
    assert noisy == sample(model.eval(), SEVERAL)


def test_every_eos_of_tokenizer_and_model_stops():
    model = build("llama")
    model.generation_config.eos_token_id = [3, 4]
    assert LocalSampler(model, TOKENIZER).stop_ids == {3, 4, END}


def test_no_prompts_no_replies():
    assert sample(MODELS["llama"], []) == []


def test_a_prompt_beyond_the_models_context_is_refused():
    with pytest.raises(EngineError, match="64") as caught:
        sample(MODELS["llama"], [[1] * 60])
    assert "prompt.style" in caught.value.hint


def test_an_empty_prompt_is_refused():
    with pytest.raises(EngineError, match="no tokens"):
        sample(MODELS["llama"], [[1], []])


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_diverged_model_is_reported(temperature):
    model = build("llama")
    model.model.norm.weight.data.fill_(math.nan)
    with pytest.raises(EngineError, match="not numbers"):
        sample(model, [[1, 2]], temperature=temperature)


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=12), st.floats(0.05, 1.0), st.floats(0, 1))
def test_a_draw_has_positive_probability(logits, top_p, uniform):
    logprobs = distribution(torch.tensor([logits]), 1.0, top_p)
    ids, picked = draw(logprobs, torch.tensor([uniform]))
    assert picked.item() == logprobs[0, ids.item()].item() > -math.inf
    assert logprobs.exp().sum().item() == pytest.approx(1.0, abs=1e-4)


def test_a_draw_inverts_the_cumulative_distribution():
    logprobs = torch.tensor([[0.2, 0.0, 0.5, 0.3]]).log().repeat(5, 1)
    ids, _ = draw(logprobs, torch.tensor([0.0, 0.19, 0.2, 0.69, 0.71]))
    assert ids.tolist() == [0, 0, 2, 2, 3]


def test_a_trie_knows_what_may_follow():
    trie = TokenTrie(CHOICES)
    assert trie.allowed([]) == [10, 20]
    assert trie.allowed([10, 11]) == [END, 12]
    assert trie.allowed([20, END]) == [] == trie.allowed([99])


def test_what_follows_with_certainty():
    assert certain(TokenTrie([[1, 2, 3]]).root) == ([1, 2, 3], {})
    tokens, branch = certain(TokenTrie([[1, 2, 3], [1, 2, 4]]).root)
    assert tokens == [1, 2] and set(branch) == {3, 4}


@pytest.mark.parametrize("choices", [[], [[]], [[1], [1, 2]], [[1, 2], [1]], [[1], []]])
def test_a_choice_that_begins_another_is_refused(choices):
    with pytest.raises(ValueError, match="beginning of another"):
        TokenTrie(choices)
