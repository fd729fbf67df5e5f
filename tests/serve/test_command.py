"""`tesuji serve RUN` as it is typed."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import textarena as ta
from tiny_jobs import write_recipe

from tesuji.cli.main import main
from tesuji.pipeline.run import run_recipe
from tesuji.recipe.reading.load import load_recipe


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("serve")
    here = Path.cwd()
    os.chdir(folder)
    try:
        return run_recipe(load_recipe(write_recipe(folder)), folder / "runs").folder.absolute()
    finally:
        os.chdir(here)


@pytest.fixture
def started(run: Path):
    children = []

    def start(*words: str) -> tuple[subprocess.Popen[str], str, list[str]]:
        command = [sys.executable, "-m", "tesuji", "serve", str(run), "--port", "0", *words]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        children.append(child)
        said: list[str] = []
        while not (match := re.search(r"(http://\S+)/v1", said[-1] if said else "")):
            said.append(child.stdout.readline())
            assert said[-1], "it ended"
        return child, match[1], said

    yield start
    for child in children:
        child.kill()
        child.wait()


def test_it_serves_until_ctrl_c(started) -> None:
    child, url, _ = started()
    assert httpx.get(f"{url}/v1/models").json()["data"][0]["id"] == "small"
    body = {"messages": [{"role": "user", "content": "hi"}], "game": {"moves": [4]}}
    said = httpx.post(f"{url}/v1/chat/completions", json=body).json()
    assert said["choices"][0]["message"]["content"] in set("01235678")
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=20) == 0


def test_textarenas_own_agent_plays_with_it(started) -> None:
    _, url, _ = started()
    agent = ta.agents.OpenAIAgent(model_name="small", api_key="none", base_url=f"{url}/v1")
    assert isinstance(agent("You are player 0 in tic-tac-toe."), str)


def test_others_need_the_key_that_is_shown_once(started) -> None:
    child, url, _ = started("--host", "0.0.0.0")
    key = re.search(r"need this key: (\S+)", child.stdout.readline())[1]
    port = url.rpartition(":")[2]
    headers = {"Authorization": f"Bearer {key}"}
    assert httpx.get(f"http://127.0.0.1:{port}/v1/models").status_code == 401
    assert httpx.get(f"http://127.0.0.1:{port}/v1/models", headers=headers).status_code == 200


def test_a_port_that_is_taken_is_told_at_once(run: Path, capsys) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["serve", str(run), "--port", str(port)]) == 2
    assert f"127.0.0.1:{port} cannot be used" in capsys.readouterr().err


def test_env_serve_until_ctrl_c() -> None:
    command = [sys.executable, "-m", "tesuji", "env", "serve", "kuhn_poker", "--port", "0"]
    command += ["--option", "players=3", "--host", "0.0.0.0"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        port = re.search(r"kuhn_poker at http://0.0.0.0:(\d+) ", child.stdout.readline())[1]
        key = re.search(r"need this key: (\S+)", child.stdout.readline())[1]
        url, headers = f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {key}"}
        httpx.get(f"{url}/health", timeout=30)
        assert httpx.post(f"{url}/reset", json={}).status_code == 401
        begun = httpx.post(f"{url}/reset", json={"seed": 1}, headers=headers).json()
        assert len(begun["metadata"]["returns"]) == 3
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=20) == 0
    finally:
        child.kill()
        child.wait()


def test_env_serve_refuses_before_it_listens(capsys) -> None:
    assert main(["env", "serve", "no_such_game"]) == 2
    assert main(["env", "serve", "kuhn_poker", "--opponent", "minimax", "--port", "0"]) == 2
    assert "minimax cannot play kuhn_poker" in capsys.readouterr().err
