"""One prompt for many replies, and conversations that are read on: the same replies as the plain
way, token for token."""

import random

import pytest
import torch

from tesuji.learners.model.tiny import build_model, build_tokenizer
from tesuji.players.sampling.local import LocalSampler
from tesuji.recipe.schema.sections import TinyModel

LONG = TinyModel(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2)


@pytest.fixture(scope="module")
def model():
    return build_model(LONG, seed=3).double()  # float64: ties broken alike whatever the batch


def sampler_of(model, **options) -> LocalSampler:
    return LocalSampler(model, build_tokenizer(), **options)


def ask(sampler, prompts, *, new=6, seeds=None, stop=frozenset(range(10, 60)), **more):
    seeds = range(len(prompts)) if seeds is None else seeds
    return sampler.sample(
        prompts, temperature=1.0, top_p=1.0, max_new_tokens=new, seeds=seeds, stop_ids=stop, **more
    )


def same(left, right) -> None:
    for one, other in zip(left, right, strict=True):
        assert one.reply_ids == other.reply_ids
        assert one.stopped == other.stopped
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)


def prompts_of(lengths, seed=0):
    draw = random.Random(seed)
    return [tuple(draw.randrange(256) for _ in range(length)) for length in lengths]


def test_replies_to_a_shared_prompt_are_those_of_prompts_read_apart(model):
    stems = prompts_of([40, 33, 60])
    prompts = [stem for stem, many in zip(stems, (5, 7, 6), strict=True) for _ in range(many)]
    sampler = sampler_of(model)
    assert sampler._worth_sharing(stems, [_limit(6)] * len(prompts))
    apart = [ask(sampler, [prompt], seeds=[n])[0] for n, prompt in enumerate(prompts)]
    same(ask(sampler, prompts), apart)
    assert len({len(reply.reply_ids) for reply in apart}) > 2, "some end early"


def test_shared_replies_may_be_limited_to_choices(model):
    stem = prompts_of([50])[0]
    choices = [[(1, 2, 10), (1, 3, 10), (4, 10), (5, 6, 10)]] * 6
    sampler = sampler_of(model)
    together = ask(sampler, [stem] * 6, choices=choices)
    apart = [ask(sampler, [stem], seeds=[n], choices=choices[:1])[0] for n in range(6)]
    same(together, apart)
    assert {reply.reply_ids for reply in together} <= set(choices[0])


def _limit(new):
    class Row:
        limit = new

    return Row()


@pytest.mark.parametrize("drop", [False, True])
def test_a_conversation_read_on_gives_what_reading_it_again_gives(model, drop):
    fresh, kept = sampler_of(model), sampler_of(model, reuse=True)
    talk = prompts_of([9, 17, 12, 12, 30], seed=1)
    more = random.Random(5)
    for turn in range(4):
        seeds = [100 * turn + n for n in range(len(talk))]
        said = ask(kept, talk, seeds=seeds)
        same(said, ask(fresh, talk, seeds=seeds))
        talk = [
            (*text, *reply.reply_ids, *prompts_of([more.randrange(1, 9)], seed=more.random())[0])
            for text, reply in zip(talk, said, strict=True)
        ]
        if drop and turn == 1:  # a match ends, another begins, and the order changes
            talk = [talk[3], *prompts_of([14], seed=8), talk[0], talk[4]]


def test_what_is_kept_is_not_read_again(model, monkeypatch):
    from tesuji.players.sampling.kv_context import Context

    sampler = sampler_of(model, reuse=True)
    prompts = prompts_of([40, 50])
    first = ask(sampler, prompts, new=2)
    read = []
    forward = Context._forward
    monkeypatch.setattr(
        Context,
        "_forward",
        lambda self, ids, *rest, **k: (read.append(ids.numel()), forward(self, ids, *rest, **k))[1],
    )
    again = [(*p, *r.reply_ids, 7, 8, 9) for p, r in zip(prompts, first, strict=True)]
    ask(sampler, again, new=1)
    assert sum(read) <= 2 * (3 + 2)


def test_new_weights_are_not_taken_for_the_old_ones(model):
    from copy import deepcopy

    model = deepcopy(model)
    sampler = sampler_of(model, reuse=True)
    prompts = prompts_of([20, 25])
    first = ask(sampler, prompts)
    again = [(*p, *r.reply_ids, 3) for p, r in zip(prompts, first, strict=True)]
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight.mul_(3)
    same(ask(sampler, again), ask(sampler_of(model), again))


def read_tokens(model, ask_):
    """How many tokens the model reads meanwhile, beside what it is given one by one."""
    read = []
    hook = model.register_forward_pre_hook(
        lambda _, args, given: read.append(given["input_ids"].numel()), with_kwargs=True
    )
    replies = ask_()
    hook.remove()
    return sum(read), replies


def test_what_prompts_have_in_common_is_read_once_and_kept(model):
    rules, tails = prompts_of([60])[0], prompts_of([6] * 12, seed=9)
    prompts = [(*rules, *tail) for tail in tails]
    sampler = sampler_of(model)
    first, second, one = prompts[:6], prompts[6:11], prompts[11:]
    asked = [(first, 60 + 6 * 6), (second, 5 * 6), (one, 6), (one, 1)]
    for some, count in asked:
        read, replies = read_tokens(model, lambda some=some: ask(sampler, some, new=1))
        assert read == count
        same(replies, [ask(sampler_of(model), [prompt], seeds=[n], new=1)[0] for n, prompt in
                       enumerate(some)])  # fmt: skip


def test_beginnings_are_kept_behind_each_other_up_to_a_limit(model, monkeypatch):
    from tesuji.players.sampling import prefix_cache

    monkeypatch.setattr(prefix_cache, "MOST_TOKENS", 30)
    sampler, roles = sampler_of(model), prompts_of([20, 20], seed=4)
    tails = prompts_of([5, 5], seed=3)
    for role in (*roles, *roles):
        asked = [(*role, *tail) for tail in tails]
        same(ask(sampler, asked), [ask(sampler_of(model), [p], seeds=[n])[0] for n, p in
                                   enumerate(asked)])  # fmt: skip
        assert len(sampler.kept.beginnings._below) <= 30
    read, _ = read_tokens(model, lambda: ask(sampler, asked, new=1))
    assert read == 2 * 5


@pytest.mark.parametrize(
    "change", ["a weight", "a weight, fused", "an adapter", "the adapter in use"]
)
def test_new_weights_drop_the_beginnings(change):
    from peft import LoraConfig, get_peft_model

    model = build_model(LONG, seed=3)
    if not change.startswith("a weight"):
        config = LoraConfig(r=4, target_modules=["q_proj", "up_proj"], init_lora_weights=False)
        model = get_peft_model(model, config)
    model.double()
    sampler = sampler_of(model)
    prompts = [(*prompts_of([30])[0], *tail) for tail in prompts_of([5, 5, 5], seed=2)]
    ask(sampler, prompts)
    before = sampler.score(prompts, [[(1, 2)]] * 3)
    if change == "the adapter in use":
        model.base_model.disable_adapter_layers()
    else:
        trained = [p for p in model.parameters() if p.requires_grad]
        for weight in trained:
            weight.grad = torch.ones_like(weight)
        torch.optim.AdamW(trained, lr=0.1, fused="fused" in change).step()
    same(ask(sampler, prompts), ask(sampler_of(model), prompts))
    after = sampler.score(prompts, [[(1, 2)]] * 3)
    assert after == sampler_of(model).score(prompts, [[(1, 2)]] * 3)
    assert abs(after[0][0] - before[0][0]) > 1e-3


def test_scores_of_trees_are_those_of_plain_rows():
    """In float32 to 1e-5 a token, also with beginnings kept, in a forest, and head by slices."""
    from tesuji.players.sampling import scoring

    model = build_model(LONG, seed=3)
    prompts = [(*prompts_of([40])[0], *tail) for tail in prompts_of([0, 3, 3, 9], seed=2)]
    choices = [[(7,), (7, 8, 9), (5, 6)], [(1, 2)], [(1, 2), (1, 3)], [(250, 3, 3, 1)]]
    sampler, small = sampler_of(model), sampler_of(model)
    small.kept.beginnings.most = 50
    expected = [
        [_plain_score(model, p, choice) for choice in some]
        for p, some in zip(prompts, choices, strict=True)
    ]
    for each, logits in ((sampler, 1 << 26), (sampler, 1 << 26), (small, 600)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scoring, "LOGITS", logits)
            scores = each.score(prompts, choices)
        for row, right in zip(scores, expected, strict=True):
            assert row == pytest.approx(right, abs=1e-5)


@torch.no_grad()
def _plain_score(model, prompt, choice):
    logits = model(input_ids=torch.tensor([[*prompt, *choice]])).logits[0, len(prompt) - 1 : -1]
    return float(logits.log_softmax(-1)[range(len(choice)), choice].sum())


def test_windowed_attention_falls_back_to_copies(model):
    from transformers import AutoModelForCausalLM, Qwen2Config

    config = Qwen2Config(
        vocab_size=264,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=64,
        use_sliding_window=True,
        sliding_window=8,
        max_window_layers=0,
    )
    windowed = AutoModelForCausalLM.from_config(config).double()
    sampler = sampler_of(windowed, reuse=True)
    assert sampler.kept is None and not sampler.reuse
    prompts = prompts_of([40]) * 4
    same(ask(sampler, prompts), [ask(sampler, [prompts[0]], seeds=[n])[0] for n in range(4)])
