"""Endpoints that misbehave: what is asked again, what costs one match, what stops the run."""

import asyncio
import email.utils
import logging
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from llm_server import completion, first_legal, play, player, serving

from tesuji.core.errors import EndpointError
from tesuji.core.types import Ending
from tesuji.episodes.store import write_episodes
from tesuji.players.endpoint.asker import GIVE_UP_AFTER
from tesuji.players.endpoint.transport import wait_wanted

KEY = "hunter2hunter2"


def stop(url: str, folder: Path, matches: int = 1, **options: Any) -> EndpointError:
    with pytest.raises(EndpointError) as caught:
        play(player(url, folder, **options), matches)
    return caught.value


async def hanging() -> Any:
    yield b" "
    await asyncio.sleep(30)


async def broken_off() -> Any:
    yield b'{"choices": ['
    raise ConnectionAbortedError("the server's own fault")


FAULTS = {
    "busy": lambda: Response(status_code=429),
    "error 500": lambda: Response("oh", status_code=500),
    "error 503": lambda: Response(status_code=503),
    "a hang": lambda: StreamingResponse(hanging(), media_type="application/json"),
    "a lost connection": lambda: StreamingResponse(broken_off(), media_type="application/json"),
    "no JSON": lambda: HTMLResponse("<html>proxy error</html>"),
    "no choices": lambda: JSONResponse({"choices": []}),
    "a list": lambda: JSONResponse([1, 2]),
    "no text": lambda: completion(["a", "list"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_passing_fault_is_asked_again_and_a_lasting_one_ends_that_match_only(tmp_path, fault):
    seen: dict[str, int] = {}

    def now_and_then(number: int, body: dict[str, Any]) -> Response:
        """One question fails once, another one always."""
        times = seen[str(body)] = seen.get(str(body), 0) + 1
        place = list(seen).index(str(body))
        return (
            FAULTS[fault]() if place == 4 or (place == 5 and times == 1) else first_legal(0, body)
        )

    with serving(now_and_then, delay=0) as server:
        them = player(server.url, tmp_path, timeout_s=1.0, concurrency=1)
        episodes = play(them, matches=8)
    endings = [episode.ending for episode in episodes]
    assert endings.count(Ending.ERROR) == 1 and endings.count(Ending.FINISHED) == 7
    [failed] = [episode for episode in episodes if episode.ending is Ending.ERROR]
    assert failed.offender == 0 and failed.reason.startswith("them: ")
    assert sorted(seen.values())[-2:] == [2, 2]


def test_a_server_that_says_how_long_is_waited_for(tmp_path: Path):
    def later(number: int, body: dict[str, Any]) -> Response:
        wait = {"Retry-After": "1.5"}
        return first_legal(0, body) if number else Response(status_code=429, headers=wait)

    with serving(later) as server:
        [episode] = play(player(server.url, tmp_path))
        assert server.times[1] - server.times[0] >= 1.5
    assert episode.ending is Ending.FINISHED


def test_one_that_wants_an_hour_is_not_waited_for(tmp_path: Path):
    tired = {"Retry-After": "3600"}
    with serving(lambda n, b: Response(status_code=429, headers=tired)) as server:
        error = stop(server.url, tmp_path, retries=6)
        assert len(server.bodies) == 1
    assert "429" in error.what


def test_a_wish_may_be_a_date_and_is_none_where_it_is_nonsense():
    soon = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert 25 < wait_wanted(soon) <= 30
    past = email.utils.formatdate(time.time() - 30, usegmt=True)
    assert [wait_wanted(text) for text in (None, "", "soon", "-3", "nan", "inf", past)] == [0] * 7


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, {"message": "The model `m` does not exist", "code": "model_not_found"}),
        (401, {"message": "Incorrect API key provided"}),
        (402, {"message": "Insufficient balance"}),
        (429, {"message": "You exceeded your quota", "code": "insufficient_quota"}),
    ],
)
def test_what_no_question_will_get_past_stops_at_once_in_one_message(tmp_path, status, error):
    answer = JSONResponse({"error": error}, status_code=status)
    with serving(lambda number, body: answer) as server:
        stopped = stop(server.url, tmp_path, matches=20, concurrency=1, api_key_env="NO_SUCH_KEY")
        assert len(server.bodies) == 1
    assert error["message"] in stopped.what and f"no moves from {server.url}" in stopped.what
    assert "$NO_SUCH_KEY (which is not set)" in stopped.hint


def test_a_server_that_goes_away_stops_the_run_which_goes_on_where_it_was(tmp_path: Path):
    answered: list[str] = []

    def ailing(number: int, body: dict[str, Any]) -> Response:
        if 9 <= number < 9 + GIVE_UP_AFTER:
            return Response(status_code=503)
        answered.append(str(body))
        return first_legal(number, body)

    with serving(ailing) as server:
        stopped = stop(server.url, tmp_path, matches=20, retries=0, concurrency=1)
        assert len(server.bodies) == 9 + GIVE_UP_AFTER
        episodes = play(player(server.url, tmp_path), 20)
    assert "503" in stopped.what and "goes on" in stopped.hint
    assert {episode.ending for episode in episodes} == {Ending.FINISHED}
    assert (
        len(answered)
        == len(set(answered))
        == sum(turn.seat == 0 for episode in episodes for turn in episode.turns)
    )


def test_a_closed_port_is_one_message(tmp_path: Path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
    error = stop(url, tmp_path, retries=0)
    assert "Connection error" in error.what and error.where == "player: openai(m)"


def test_a_server_that_hangs_up_is_one_message(tmp_path: Path):
    def hang_up(listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=hang_up, args=(listener,), daemon=True).start()
        error = stop(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", tmp_path, retries=1)
    assert "no moves from" in error.what


def test_a_key_that_comes_back_is_in_no_record_no_cache_no_message_and_no_log(
    tmp_path: Path, monkeypatch, caplog
):
    """Neither the variable's name nor the value looks like a key."""
    monkeypatch.setenv("LOCAL", KEY)
    caplog.set_level(logging.DEBUG)

    def echoing(number: int, body: dict[str, Any]) -> Response:
        move = first_legal(number, body)
        if number == 3:
            return JSONResponse({"error": f"not with {KEY}"}, status_code=400)
        text = f"{KEY}? {move.body.decode().split('I play ')[1].split('.')[0]}"
        return completion(text, reasoning_content=f"I was asked with {KEY}.")

    with serving(echoing) as server:
        them = player(server.url, tmp_path, api_key_env="LOCAL", retries=0, concurrency=1)
        episodes = play(them, matches=4)
        assert set(server.keys) == {f"Bearer {KEY}"}
    write_episodes(tmp_path / "episodes.jsonl", episodes)
    assert [e.ending for e in episodes].count(Ending.ERROR) == 1
    for file in tmp_path.iterdir():
        assert KEY.encode() not in file.read_bytes(), file
    assert "[redacted]" in (tmp_path / "episodes.jsonl").read_text()
    assert not any(KEY in record.getMessage() for record in caplog.records)
    told = f"<p>{'x' * 150}{KEY} and {KEY}</p>"
    with serving(lambda number, body: HTMLResponse(told)) as server:
        error = stop(server.url, tmp_path, api_key_env="LOCAL", retries=0)
    assert KEY[:6] not in str(error)


def test_another_model_that_answers_is_told_once(tmp_path: Path, caplog):
    with serving(first_legal) as server:  # it calls itself m
        play(player(server.url, tmp_path, model="qwen3-4b"), matches=3)
    told = [record.getMessage() for record in caplog.records if "answers where" in record.message]
    assert told == ["m answers where qwen3-4b was asked"]


def test_a_process_that_was_forked_asks_too(tmp_path: Path):
    with serving(first_legal) as server:
        them = player(server.url, tmp_path)
        play(them)
        child = os.fork()
        if child == 0:  # with connections of its own
            code = 1
            try:
                code = 0 if play(player(server.url, tmp_path, model="n")) else 1
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
