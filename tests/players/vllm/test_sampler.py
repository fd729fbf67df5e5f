"""Replies through vLLM servers against the local sampler's, with a stand-in that computes them."""

from collections import Counter

import pytest
from sampled_alike import choices, compare, free, furthest_score, gap, prompts, vllm_sampler
from tiny_models import WIDER, tiny_policy
from vllm_server import serving

from tesuji.core.errors import EngineError
from tesuji.players.sampling.local import LocalSampler
from tesuji.players.vllm.servers import Servers


@pytest.fixture(scope="module")
def policy():
    return tiny_policy(shape=WIDER)


@pytest.fixture(scope="module")
def local(policy):
    return LocalSampler(policy.model.eval(), policy.tokenizer)


@pytest.fixture(scope="module")
def server(policy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    policy.model.save_pretrained(folder)
    with serving(folder) as server:
        yield server


@pytest.fixture
def sampler(server, local):
    servers = Servers([server.url], 30, 16)
    yield vllm_sampler(servers, local)
    servers.close()


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 0.7), (2.0, 0.9), (0, 1.0)])
def test_legal_moves_are_those_of_the_local_sampler_to_the_last_token(
    sampler, local, temperature, top_p
):
    assert compare(sampler, local, temperature, top_p) < 1e-5


def test_scores_are_those_of_the_local_sampler(sampler, local):
    assert furthest_score(sampler, local) < 1e-5


def test_choices_that_begin_others_are_scored(sampler, local):
    ways = [[[65], [65, 66], [65, 67], [68]]]
    theirs, ours = (one.score(prompts(1), ways)[0] for one in (sampler, local))
    assert theirs == pytest.approx(ours, abs=1e-5)


def test_single_tokens_are_one_request_and_decisions_alike_share_it(sampler, server, local):
    before, end = len(server.bodies), min(local.stop_ids)
    same, given = prompts(1) * 40, choices(end, 1) * 40
    settings = {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 3, "seeds": list(range(40))}
    replies = sampler.sample(same, stop_ids=local.stop_ids, choices=given, **settings)
    assert len(server.bodies) - before == 1
    assert len({reply.reply_ids for reply in replies}) > 3


def test_more_choices_than_one_answer_holds(sampler, local):
    end = min(local.stop_ids)
    many = [[[token, end] for token in range(250)]] * 3
    settings = {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 3, "seeds": [1, 2, 3]}
    theirs, ours = (
        one.sample(prompts(3), stop_ids=local.stop_ids, choices=many, **settings)
        for one in (sampler, local)
    )
    assert [reply.reply_ids for reply in theirs] == [reply.reply_ids for reply in ours]


def test_moves_come_as_often_as_their_probabilities_say(sampler, local):
    end, count = min(local.stop_ids), 2000
    given = choices(end, 2)[1]
    settings = {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 6, "seeds": list(range(count))}
    replies = sampler.sample(
        prompts(1) * count, stop_ids=local.stop_ids, choices=[given] * count, **settings
    )
    chance = {reply.reply_ids: 2.718281828 ** sum(reply.logprobs) for reply in replies}
    assert sum(chance.values()) == pytest.approx(1, abs=1e-4)
    for reply, often in Counter(reply.reply_ids for reply in replies).items():
        assert often / count == pytest.approx(chance[reply], abs=0.04)  # over 3 deviations


def test_free_replies_have_the_log_probs_they_were_sampled_with(sampler, local):
    assert gap(free(sampler), local) < 1e-4


def test_a_seed_gives_the_same_reply_again_and_another_seed_another(sampler):
    first, again, other = free(sampler), free(sampler), free(sampler, seeds=list(range(50, 62)))
    assert first == again
    assert sum(a.reply_ids == b.reply_ids for a, b in zip(first, other, strict=True)) < 6
    shared = free(sampler, 6, seeds=[2**62 + 1] * 6)
    assert shared == free(sampler, 6, seeds=[2**62 + 1] * 6)


def test_greedy_replies_are_the_local_sampler_s_and_certain(sampler, local):
    theirs, ours = (free(one, temperature=0.0) for one in (sampler, local))
    assert theirs == ours


def test_a_stop_token_ends_a_reply(sampler, local):
    first = free(sampler)[0].reply_ids
    [cut, *_] = sampler.sample(
        prompts(12),
        temperature=1.0,
        top_p=1.0,
        max_new_tokens=6,
        seeds=list(range(12)),
        stop_ids=frozenset({first[1]}),
    )
    assert cut.stopped and cut.reply_ids == first[: first.index(first[1]) + 1]


def test_what_is_too_long_is_refused_as_by_the_local_sampler(sampler, local):
    for one in (sampler, local):
        with pytest.raises(EngineError, match=r"exceed the model's"):
            free(one, max_new_tokens=5000)
