"""Servers that die, hang, talk nonsense or have other weights: another one, or a clean end."""

import time

import pytest
from fastapi.responses import PlainTextResponse
from sampled_alike import compare, free, prompts, vllm_sampler
from tiny_models import WIDER, tiny_policy
from vllm_server import refusal, serving

from tesuji.core.errors import EngineError
from tesuji.players.sampling.local import LocalSampler
from tesuji.players.vllm.servers import TRIES, Servers

DEAD = "http://127.0.0.1:9"  # nobody listens there


@pytest.fixture(scope="module")
def local():
    policy = tiny_policy(shape=WIDER)
    return LocalSampler(policy.model.eval(), policy.tokenizer)


@pytest.fixture(scope="module")
def folder(local, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    local.model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def well(folder):
    with serving(folder) as server:
        yield server


def sampler_of(local, *urls, timeout_s=5.0, **version):
    return vllm_sampler(Servers(urls, timeout_s, 4), local, **version)


def nonsense(**changes):
    """A right answer but for some of its parts."""
    choice = {"token_ids": [5], "logprobs": {"content": [{"token_id": 5, "logprob": -1.0}]}}
    return {"model": "policy", "choices": [choice | changes]}


GARBAGE = {
    "no json": PlainTextResponse("<html>busy</html>"),
    "a list": PlainTextResponse("[]"),
    "no choices": PlainTextResponse('{"model": "policy"}'),
    "no log-probs": PlainTextResponse('{"model": "policy", "choices": [{"token_ids": [1]}]}'),
    "nothing": PlainTextResponse(""),
    "out of order": refusal(500, "EngineDeadError"),
    "half an answer": PlainTextResponse('{"model": "policy", "choices": [{"tok'),
    "NaN": PlainTextResponse(
        '{"model": "policy", "choices": [{"token_ids": [5, 5, 5, 5, 5, 5], "logprobs": {"content":'
        ' [{"token_id": 5, "logprob": NaN}]}}]}'
    ),
}


@pytest.mark.parametrize("answer", GARBAGE.values(), ids=GARBAGE)
def test_a_server_that_answers_garbage_is_asked_again_and_then_another(folder, well, local, answer):
    with serving(folder, lambda number, body: answer) as bad:
        sampler = sampler_of(local, bad.url, well.url)
        assert compare(sampler, local, 1.0, 1.0) < 1e-5
        assert bad.url in sampler.servers.lost and len(bad.bodies) <= 3 + 4  # 4 were under way


@pytest.mark.parametrize("answer", GARBAGE.values(), ids=GARBAGE)
def test_where_there_is_no_other_the_end_is_clean_and_soon(folder, local, answer):
    with serving(folder, lambda number, body: answer) as bad:
        with pytest.raises(EngineError, match=r"no vLLM server answers") as caught:
            free(sampler_of(local, bad.url), 1)
        assert "checkpoint" in caught.value.hint and len(bad.bodies) <= TRIES


def test_one_fault_costs_one_try(folder, local):
    with serving(folder, lambda n, body: refusal(503, "busy") if n == 0 else None) as server:
        sampler = sampler_of(local, server.url)
        assert len(free(sampler, 4)) == 4
        assert len(server.bodies) == 5 and not sampler.servers.lost


def test_a_dead_server_is_left_out(well, local):
    sampler = sampler_of(local, DEAD, well.url)
    assert [*sampler.servers.lost] == [DEAD] and sampler.servers.urls == [well.url]
    assert compare(sampler, local, 1.0, 1.0) < 1e-5
    with pytest.raises(EngineError, match=r"no vLLM server answers: .*ConnectError"):
        sampler_of(local, DEAD)


def test_a_server_that_hangs_is_given_its_time_and_no_more(folder, well, local):
    with serving(folder, lambda number, body: 60.0) as hanging:
        sampler = sampler_of(local, hanging.url, well.url, timeout_s=1.0)
        began = time.monotonic()
        assert len(free(sampler)) == 12
        assert time.monotonic() - began < 30
        assert "within 1 s" in sampler.servers.lost[hanging.url]


def test_a_server_without_the_weights_asked_for_is_dropped_at_once(folder, well, local):
    with serving(folder) as old:
        well.weights, old.weights = "v2", "v1"
        sampler = sampler_of(local, old.url, well.url, weights="v2")
        try:
            assert len(free(sampler)) == 12
        finally:
            well.weights = "default"
        assert "it has the weights v1, not v2" in sampler.servers.lost[old.url]


def test_another_model_is_no_answer(folder, well, local):
    other = PlainTextResponse('{"model": "gpt", "choices": [{"token_ids": [1]}]}')
    with serving(folder, lambda number, body: other) as server:
        sampler = sampler_of(local, server.url, well.url)
        assert len(free(sampler)) == 12
        assert "'gpt' answers where 'policy' was asked" in sampler.servers.lost[server.url]


def test_a_request_that_is_refused_is_not_asked_again(folder, local):
    answer = refusal(400, "prompt is too long")
    with serving(folder, lambda number, body: answer) as server:
        with pytest.raises(EngineError, match="prompt is too long"):
            free(sampler_of(local, server.url), 1)
        assert len(server.bodies) == 1


@pytest.mark.parametrize(
    "ids",
    [[], [5] * 7, [5, 5], [5, 257, 5, 5, 5, 5]],
    ids=["none", "too long", "cut short", "gone on after its end"],
)
def test_a_reply_of_the_wrong_length_is_garbage(folder, local, ids):
    import json

    content = [{"token_id": token, "logprob": -1.0} for token in ids]
    text = json.dumps(nonsense(token_ids=ids, logprobs={"content": content}))
    with (
        serving(folder, lambda number, body: PlainTextResponse(text)) as server,
        pytest.raises(EngineError, match="garbage"),
    ):
        assert prompts(1) and 257 in local.stop_ids
        free(sampler_of(local, server.url), 1)


def test_a_server_that_is_well_again_is_asked_again_with_new_weights(folder, well, local):
    sick = [True]
    with serving(folder, lambda n, b: refusal(500, "sick") if sick[0] else None) as server:
        sampler = sampler_of(local, server.url, well.url)
        free(sampler)
        assert server.url in sampler.servers.lost
        sick[0] = False
        sampler.servers.everywhere(lambda one: one.meet())
        assert not sampler.servers.lost
