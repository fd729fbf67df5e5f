"""`tesuji ui` as it is typed, ended while people play."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from ui_play import begin, play_out, settled, stage

from tesuji.episodes.store import read_episodes

Started = tuple[subprocess.Popen[str], httpx.Client]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Started]]:
    children: list[subprocess.Popen[str]] = []

    def started() -> Started:
        command = [sys.executable, "-m", "tesuji", "ui", "--runs", str(tmp_path), "--port", "0"]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
        children.append(child)
        url = re.search(r"http://[\w.:]+", child.stdout.readline())[0]
        client = httpx.Client(base_url=url, timeout=60)
        token = re.search(
            r'X-CSRF-Token": "([^"]+)"', client.get("/play").text.replace("&#34;", '"')
        )
        client.headers["X-CSRF-Token"] = token[1]
        return child, client

    yield started
    for child in children:
        child.kill()
        child.wait()


def test_what_was_finished_is_there_after_a_kill(
    start: Callable[[], Started], tmp_path: Path
) -> None:
    child, client = start()
    assert stage(play_out(client, begin(client, seed=5, save="true"))) == "over"
    settled(client, begin(client, seed=6, save="true"))
    child.kill()
    child.wait()
    file = tmp_path / "played" / "episodes.jsonl"
    assert [episode.seed for episode in read_episodes(file)] == [5]
    with file.open("ab") as torn:
        torn.write(b'{"format":1,"game":"tic_')  # as a disk that was full would leave it
    child, client = start()
    assert stage(play_out(client, begin(client, seed=7, save="true"))) == "over"
    assert [episode.seed for episode in read_episodes(file)] == [5, 7]


def test_ctrl_c_ends_it_though_people_are_waited_for(start: Callable[[], Started]) -> None:
    child, client = start()
    for seed in range(3):
        settled(client, begin(client, seed=seed))
    begin(client, other=["random", "mcts:simulations=300"], game="connect_four")
    child.send_signal(signal.SIGINT)
    began = time.monotonic()
    assert child.wait(timeout=20) == 0 and time.monotonic() - began < 10
