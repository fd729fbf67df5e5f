"""An endpoint that stops a stage: what is said, in one message, and that no key is in it."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import llm_server
import pytest
from fastapi.responses import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from llm_server import completion, echo, endpoint, number_of, questions, serving

from tesuji.core.errors import DataError, EngineError
from tesuji.datasets.llm_endpoint import GIVE_UP_AFTER, write_thoughts

SECRET = "sk-thisisaverysecretkey"
PLAIN = "hunter2hunter2"


def refusal(url: str, folder: Path, count: int = 30, **changes) -> str:
    with pytest.raises(EngineError) as caught:
        write_thoughts(questions(count), endpoint(url, **changes), folder / "c")
    return str(caught.value)


def in_pieces(response: Any) -> Response:
    """A body that is sent in pieces, without its length in front."""
    return StreamingResponse(response, media_type="application/json")


def test_an_endpoint_that_only_answers_garbage_stops_the_stage(tmp_path: Path):
    with serving(lambda number, body: HTMLResponse("<html>login</html>")) as server:
        message = refusal(server.url, tmp_path)
    assert "no thoughts from http://127.0.0.1" in message
    assert "no chat completion: <html>login</html>" in message


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b" " * 100_000
        await asyncio.sleep(0)


async def trickling() -> AsyncIterator[bytes]:
    while True:
        yield b" "
        await asyncio.sleep(0.05)


async def broken_off() -> AsyncIterator[bytes]:
    yield b'{"choices": ['
    raise ConnectionAbortedError("the server's own fault")


@pytest.mark.parametrize(
    ("body", "timeout", "words"),
    [
        (endless, 30, "more than 1,000,000 bytes"),
        (trickling, 0.5, "did not come to an end in time"),
        (broken_off, 30, "incomplete"),
    ],
)
def test_a_body_without_an_end_is_not_read_for_ever(tmp_path: Path, body, timeout, words: str):
    with serving(lambda number, _: in_pieces(body())) as server:
        message = refusal(server.url, tmp_path, retries=0, timeout_s=timeout)
    assert words in message


def test_headers_that_trickle_are_not_waited_for(tmp_path: Path):
    def trickle(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                connection.sendall(b"x-wait: 1\r\n")
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=trickle, args=(listener,), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        began = time.monotonic()
        message = refusal(url, tmp_path, count=1, retries=0, timeout_s=0.5)
    assert time.monotonic() - began < 10
    assert "timed out" in message


def test_answers_under_way_when_all_is_given_up_are_kept(tmp_path: Path):
    """One server says no for good while others are still answering: those answers are paid for."""
    slow = threading.Event()

    async def late() -> AsyncIterator[bytes]:
        while not slow.is_set():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        yield bytes(completion("A thought.").body)

    def answer(number: int, body: dict) -> Response:
        if number_of(body) < 3:
            return in_pieces(late())
        slow.set()
        return JSONResponse({"error": "no such model"}, status_code=404)

    with serving(answer) as server:
        refusal(server.url, tmp_path, count=30, concurrency=4)
        asked = len(server.bodies)
    with serving(echo) as server:
        write_thoughts(questions(30), endpoint(server.url), tmp_path / "c")
        assert sorted(map(number_of, server.bodies)) == list(range(3, 30))
    assert asked <= 8


def test_half_a_character_in_an_answer_is_stored(tmp_path: Path):
    body = b'{"choices": [{"message": {"content": "a \\ud83d."}}]}'
    with serving(lambda number, _: Response(body, media_type="application/json")) as server:
        thoughts = write_thoughts(questions(1), endpoint(server.url), tmp_path / "c")
    assert thoughts == ["a \ufffd."]


def test_no_answer_that_came_is_paid_for_twice_over_a_kill(tmp_path: Path):
    """kill -9 in the middle: asked again are at most the questions that were under way."""
    code = (
        "import sys; from pathlib import Path; from llm_server import endpoint, questions\n"
        "from tesuji.datasets.llm_endpoint import write_thoughts\n"
        "write_thoughts(questions(60), endpoint(sys.argv[1], concurrency=4), Path(sys.argv[2]))"
    )
    cache = tmp_path / "c"
    with serving(echo, delay=0.05) as server:
        with subprocess.Popen(
            [sys.executable, "-c", code, server.url, str(cache)],
            env={**os.environ, "PYTHONPATH": str(Path(llm_server.__file__).parent)},
        ) as process:
            while len(server.bodies) < 25 and process.poll() is None:
                time.sleep(0.01)
            process.kill()
        before = len(server.bodies)
        thoughts = write_thoughts(questions(60), endpoint(server.url, concurrency=4), cache)
        assert all(thoughts)
        again = len(server.bodies) - 60
    assert 25 <= before < 60
    assert 0 <= again <= 4


def test_a_model_that_never_stops_thinking_is_named_as_the_cause(tmp_path: Path):
    cut = {"message": {"content": None, "reasoning": "Hm"}, "finish_reason": "length"}
    with serving(lambda number, body: JSONResponse({"choices": [cut]})) as server:
        message = refusal(server.url, tmp_path, retries=0)
    assert "still thinking at max_tokens" in message


def test_an_endpoint_that_goes_away_in_the_middle_stops_the_stage(tmp_path: Path):
    def dies(number: int, body: dict[str, Any]) -> Response:
        return echo(number, body) if number < 5 else Response("gone", status_code=503)

    with serving(dies) as server:
        message = refusal(server.url, tmp_path, retries=0, concurrency=1)
        assert len(server.bodies) == 5 + GIVE_UP_AFTER
    assert "503" in message


def test_too_many_questions_without_a_thought_stop_the_stage(tmp_path: Path):
    def every_other(number: int, body: dict[str, Any]) -> Response:
        return completion("" if number_of(body) % 2 else "I win.")

    with serving(every_other, delay=0) as server, pytest.raises(EngineError) as caught:
        write_thoughts(questions(80), endpoint(server.url, retries=0), tmp_path / "c")
    assert "to 17 questions" in str(caught.value)


def test_a_model_that_is_not_there_is_asked_for_once(tmp_path: Path):
    missing = JSONResponse({"error": {"message": "no model m"}}, status_code=404)
    with serving(lambda number, body: missing) as server:
        message = refusal(server.url, tmp_path, concurrency=1)
        assert len(server.bodies) == 1
    assert "no model m" in message


def test_a_few_questions_without_one_answer_stop_the_stage_too(tmp_path: Path):
    with serving(lambda number, body: completion("")) as server:
        message = refusal(server.url, tmp_path, count=2, retries=0)
    assert "an answer without a text" in message


def test_a_server_that_is_down_is_one_message(tmp_path: Path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
    message = refusal(url, tmp_path, retries=0)
    assert "Connection error" in message
    assert "stages.data.endpoint" in message
    assert "base_url" in message


def test_a_server_that_is_too_slow_is_one_message(tmp_path: Path):
    with serving(echo, delay=1) as server:
        message = refusal(server.url, tmp_path, retries=0, timeout_s=0.1)
    assert "timed out" in message


def test_a_refused_key_stops_at_once_and_is_nowhere_to_be_read(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("MY_KEY", SECRET)
    with serving(lambda number, body: JSONResponse({"error": SECRET}, status_code=401)) as server:
        message = refusal(server.url, tmp_path, api_key_env="MY_KEY", concurrency=1)
        assert len(server.bodies) == 1
        assert server.keys == [f"Bearer {SECRET}"]
    assert SECRET not in message
    assert "$MY_KEY" in message


def test_a_key_is_cut_from_any_message_whatever_it_looks_like(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("LOCAL", f" {PLAIN}\n")  # neither the name nor the value looks like a key
    telling = HTMLResponse(f"<p>{'x' * 150}{PLAIN} and {PLAIN}</p>")
    with serving(lambda number, body: telling) as server:
        message = refusal(server.url, tmp_path, api_key_env="LOCAL", retries=0)
        assert set(server.keys) == {f"Bearer {PLAIN}"}
    assert PLAIN[:6] not in message


def test_without_a_key_local_servers_are_asked_all_the_same(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(echo) as server:
        write_thoughts(questions(1), endpoint(server.url), tmp_path / "c")
        assert server.keys == ["Bearer none"]


@pytest.mark.parametrize("key", ["sk-…pasted", "two\nlines"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(tmp_path, monkeypatch, key):
    monkeypatch.setenv("MY_KEY", key)
    message = refusal("http://127.0.0.1:9/v1", tmp_path, api_key_env="MY_KEY")
    assert "$MY_KEY" in message
    assert key not in message


def test_the_key_is_not_in_the_cache_and_not_sent_elsewhere(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("MY_KEY", SECRET)
    with serving(echo) as other:
        with serving(
            lambda number, body: RedirectResponse(f"{other.url}/chat/completions")
        ) as first:
            refusal(first.url, tmp_path, api_key_env="MY_KEY", retries=0)
        assert other.bodies == []
        write_thoughts(questions(1), endpoint(other.url, api_key_env="MY_KEY"), tmp_path / "c")
    assert SECRET.encode() not in (tmp_path / "c").read_bytes()


def test_a_key_that_comes_back_in_an_answer_is_not_kept(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("MY_KEY", PLAIN)
    with serving(lambda number, body: completion(f"I was asked with {PLAIN}.")) as server:
        thoughts = write_thoughts(
            questions(1), endpoint(server.url, api_key_env="MY_KEY"), tmp_path / "c"
        )
    assert thoughts == ["I was asked with [redacted]."]
    assert PLAIN.encode() not in (tmp_path / "c").read_bytes()


def test_a_cache_that_cannot_be_written_is_one_message(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "broken").write_text("this is no database at all, but a text of some length")
    for path in (tmp_path / "file" / "c", tmp_path / "broken"):
        with pytest.raises(DataError, match="cannot write"):
            write_thoughts(questions(1), endpoint("http://127.0.0.1:9/v1"), path)


def test_without_the_client_it_says_how_to_get_it(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(EngineError, match="openai client"):
        write_thoughts(questions(1), endpoint("http://127.0.0.1:9/v1"), tmp_path / "c")
