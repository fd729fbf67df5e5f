"""A model behind the OpenAI dialect, asked by OpenAI's own client and by others."""

import asyncio
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest
from served import served
from tiny_models import tiny_policy

from tesuji.games.catalogue import load_game
from tesuji.players.base import MoveRequest
from tesuji.players.model import ModelPlayer
from tesuji.players.sampling.local import LocalSampler
from tesuji.recipe.schema.sections import PromptSection, SamplingSection
from tesuji.serve.model.app import Offer, make_app

KEY = "a-key-of-this-test"


@pytest.fixture(scope="module")
def player() -> ModelPlayer:
    policy = tiny_policy()
    sampler = LocalSampler(policy.model, policy.tokenizer)
    prompt = PromptSection(style="compact", answer="id")
    sampling = SamplingSection(max_new_tokens=6, temperature=1.0)
    return ModelPlayer("model", sampler, policy.tokenizer, prompt, sampling)


@pytest.fixture(scope="module")
def app(player):
    return make_app(Offer("tiny", player, load_game("tic_tac_toe")))


@pytest.fixture(scope="module")
def url(app):
    with served(app) as address:
        yield address


@pytest.fixture(scope="module")
def client(url):
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def _requests(count: int) -> list[MoveRequest]:
    game = load_game("tic_tac_toe")
    match = game.start(0)
    shown, legal = match.observe(0), match.legal_moves(0)
    return [MoveRequest(game, match, 0, shown, legal, seed=seed) for seed in range(count)]


def _say(client, content: str = "hello", **more):
    messages = [{"role": "user", "content": content}]
    return client.chat.completions.create(model="tiny", messages=messages, **more)


def test_the_reply_is_the_players_for_the_same_seed(player, client) -> None:
    requests = _requests(8)
    for request, reply in zip(requests, player.choose(requests), strict=True):
        asked = list(reply.prompt)
        made = client.chat.completions.create(model="tiny", messages=asked, seed=request.seed)
        assert made.choices[0].message.content == reply.text
        assert made.usage.prompt_tokens == len(reply.tokens.prompt_ids)
        assert made.usage.completion_tokens == len(reply.tokens.reply_ids)
        assert made.choices[0].finish_reason == ("stop" if reply.tokens.stopped else "length")


def test_a_stream_says_the_same_in_pieces(client) -> None:
    whole = _say(client, seed=3, max_tokens=24)
    stream = _say(
        client, seed=3, max_tokens=24, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == whole.choices[0].message.content
    assert sum(1 for piece in pieces if piece) > 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] in ("stop", "length")
    assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage


def test_a_stop_text_ends_the_reply_before_it(client) -> None:
    whole = _say(client, seed=5, max_tokens=24).choices[0].message.content
    stop = whole[4:6]
    made = _say(client, seed=5, max_tokens=24, stop=[stop])
    assert made.choices[0].message.content == whole[: whole.index(stop)]
    assert made.choices[0].finish_reason == "stop" and made.usage.completion_tokens < 24
    stream = _say(client, seed=5, max_tokens=24, stop=[stop], stream=True)
    pieces = [chunk.choices[0].delta.content or "" for chunk in stream]
    assert "".join(pieces) == whole[: whole.index(stop)]


def test_several_choices_and_texts(client) -> None:
    three = _say(client, seed=1, n=3)
    assert [choice.index for choice in three.choices] == [0, 1, 2]
    assert three.choices[1].message.content == _say(client, seed=2).choices[0].message.content
    made = client.completions.create(model="tiny", prompt=["one", "two"], seed=1, max_tokens=3)
    assert len(made.choices) == 2 and made.object == "text_completion"


def test_only_legal_moves_of_a_position_are_said(client) -> None:
    table = {"name": "tic_tac_toe", "moves": [4, 0, "x(0,1)"]}
    replies = {
        _say(client, seed=seed, extra_body={"game": table}).choices[0].message.content
        for seed in range(24)
    }
    assert replies <= {"2", "3", "5", "6", "7", "8"} and len(replies) > 2
    only = {"structured_outputs": {"choice": ["fold", "call"]}}
    said = {_say(client, seed=s, extra_body=only).choices[0].message.content for s in range(12)}
    assert said == {"fold", "call"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"game": {"moves": [99]}}, "no legal move 99"),
        ({"game": {"name": "tic_tac_to"}}, "tic_tac_toe"),
        ({"game": {"moves": [0, 3, 1, 4, 2, 5]}}, "over"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"temperature": -1}, "temperature"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "type text"),
        ({"messages": [{"role": "user", "content": "too long " * 5000}]}, "exceed the model's"),
    ],
)
def test_what_cannot_be_done_is_said_as_openai_does(url, changes: dict, words: str) -> None:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], **changes}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("body", "status"),
    [('{"messages": ' + "[" * 100_000 + "]" * 100_000 + "}", 400), ("{", 400), ("[]", 400)],
)
def test_a_body_that_cannot_be_read_is_refused_as_openai_does(url, body, status: int) -> None:
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(f"{url}/v1/chat/completions", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "invalid_request_error"
    elsewhere = httpx.get(f"{url}/v2/nothing")
    assert elsewhere.status_code == 404 and elsewhere.json()["error"]["message"]


def test_another_model_is_not_here(client) -> None:
    with pytest.raises(openai.NotFoundError, match="tiny"):
        client.chat.completions.create(model="gpt", messages=[{"role": "user", "content": "x"}])
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").id == "tiny"


def test_what_clients_send_beside_is_ignored_and_openapi_is_another_door(url) -> None:
    body = {"messages": [{"role": "user", "content": "hi"}], "user": "me", "n": 1, "stop": None}
    assert httpx.post(f"{url}/openapi/v1/chat/completions", json=body).status_code == 200
    assert httpx.post(f"{url}/openapi/chat/completions", json=body).status_code == 200
    assert httpx.get(f"{url}/openapi/health").json() == {"status": "ok"}


def test_more_tokens_than_there_is_room_for_are_not_drawn(player, url) -> None:
    """Kaggle's harness asks every model for 65,536."""
    body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 65_536, "seed": 1}
    answer = httpx.post(f"{url}/openapi/chat/completions", json=body, timeout=60).json()
    assert answer["usage"]["total_tokens"] <= player.sampler.longest


def test_a_hundred_at_once_get_what_each_would_alone(client) -> None:
    alone = [_say(client, seed=seed).choices[0].message.content for seed in range(100)]
    with ThreadPoolExecutor(100) as pool:
        at_once = list(pool.map(lambda seed: _say(client, seed=seed), range(100)))
    assert [made.choices[0].message.content for made in at_once] == alone


def test_who_has_left_costs_nothing_more(app, url) -> None:
    engine = app.state.engine
    before = engine.tokens
    body = {"messages": [{"role": "user", "content": "hi"}], "stream": True, "seed": 1}
    body |= {"max_tokens": 400, "structured_outputs": {"choice": ["7" * 380]}, "temperature": 1}
    del body["structured_outputs"]
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
        next(answer.iter_lines())
    _settled(engine)
    drawn = engine.tokens - before
    whole = httpx.post(f"{url}/v1/chat/completions", json={**body, "stream": False}).json()
    assert drawn < whole["usage"]["completion_tokens"] / 2


def _settled(engine, seconds: float = 10) -> None:
    """Wait until the engine draws nothing."""
    until, last = time.monotonic() + seconds, None
    while time.monotonic() < until and (last != engine.tokens or last is None):
        last = engine.tokens
        time.sleep(0.5)


def test_one_that_reads_slowly_keeps_nobody_waiting(url, client) -> None:
    host, port = url.removeprefix("http://").split(":")
    text = '{"messages": [{"role": "user", "content": "x"}], "stream": true, "max_tokens": 64}'
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    )
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(f"{head}Content-Length: {len(text)}\r\n\r\n{text}".encode())
        began = time.monotonic()
        _say(client)
        assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Host": "localhost:8000"}, 200),
    ],
)
def test_pages_of_others_get_no_answer(url, headers: dict, status: int) -> None:
    assert httpx.get(f"{url}/v1/models", headers=headers).status_code == status


def test_with_a_key_all_but_health_need_it(player) -> None:
    app = make_app(Offer("tiny", player, load_game("tic_tac_toe")), host="0.0.0.0", key=KEY)
    with served(app) as url:
        assert httpx.get(f"{url}/health").status_code == 200
        assert httpx.get(f"{url}/v1/models").status_code == 401
        wrong = {"Authorization": "Bearer another"}
        assert httpx.get(f"{url}/v1/models", headers=wrong).status_code == 401
        right = {"Authorization": f"Bearer {KEY}"}
        assert httpx.get(f"{url}/v1/models", headers=right).status_code == 200


def test_too_many_waiting_are_told_to_come_again(player) -> None:
    app = make_app(Offer("tiny", player, load_game("tic_tac_toe")))
    app.state.engine.most_waiting = 0
    with served(app) as url:
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
        with pytest.raises(openai.RateLimitError):
            _say(client)


def test_no_thread_is_left(player) -> None:
    before = {thread.name for thread in threading.enumerate()}
    app = make_app(Offer("tiny", player, load_game("tic_tac_toe")))
    engine = app.state.engine

    async def close() -> None:
        await asyncio.to_thread(engine.close)

    asyncio.run(close())
    assert not engine._thread.is_alive()
    assert {thread.name for thread in threading.enumerate()} <= before | {"MainThread"}
