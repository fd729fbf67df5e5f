"""`tesuji serve RUN --engine vllm`: a run's model, sampled by a server that computes with what it
is given."""

import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import psutil
import pytest
import yaml
from served import served
from tiny_jobs import write_recipe
from vllm_server import python_with_it, refusal, serving

from tesuji.pipeline.models.of_run import open_run
from tesuji.pipeline.run import run_recipe
from tesuji.recipe.reading.load import load_recipe
from tesuji.serve.model.app import Offer, make_app

ONE_HEAD_OF_32 = {"hidden_size": 32, "num_attention_heads": 1, "num_key_value_heads": 1}

SLOW_S = 5.0


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("serve")
    path = write_recipe(folder, data=str(folder / "rows.jsonl"))
    recipe = yaml.safe_load(path.read_text())
    recipe["model"] = {"base": "tiny", "tiny": ONE_HEAD_OF_32, "dtype": "float32"}
    path.write_text(yaml.safe_dump(recipe))
    return run_recipe(load_recipe(path), folder / "runs").folder.absolute()


def with_servers(run: Path, url: str) -> None:
    """The run's recipe names them."""
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    recipe["sampling"] |= {"engine": "vllm", "url": [url]}
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))


def said(client: openai.OpenAI, content: str = "hello", **more) -> tuple[str, str]:
    messages = [{"role": "user", "content": content}]
    made = client.chat.completions.create(model="small", messages=messages, seed=1, **more)
    return made.choices[0].message.content, made.choices[0].finish_reason


def client_of(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def asked_of(client: openai.OpenAI) -> list[tuple[str, str]]:
    """What is said to requests of all kinds, of several lengths, all of them at once."""
    table = {"extra_body": {"game": {"name": "tic_tac_toe", "moves": [4, 0]}}, "temperature": 1}
    kinds = [{"temperature": 0, "max_tokens": most} for most in (1, 3, 9)]
    kinds += [{"temperature": 0, "max_tokens": 9, "stop": ["e"]}, table]
    kinds += [table | {"temperature": 0, "max_tokens": 4}]
    with ThreadPoolExecutor(len(kinds)) as pool:
        return [*pool.map(lambda more: said(client, **more), kinds)]


def test_it_says_what_the_model_here_says(run) -> None:
    trained = open_run(run)
    with (
        trained.playing() as player,
        served(make_app(Offer("small", player, trained.game))) as url,
    ):
        ours = asked_of(client_of(url))
    with serving(trained.source) as server:
        with_servers(run, server.url)
        trained = open_run(run)
        with trained.playing(engine="vllm") as player:
            app = make_app(Offer("small", player, trained.game))
            with served(app) as url:
                assert asked_of(client_of(url)) == ours
                chunks = client_of(url).chat.completions.create(
                    model="small",
                    messages=[{"role": "user", "content": "hello"}],
                    temperature=0,
                    max_tokens=9,
                    stream=True,
                )
                pieces = [chunk.choices[0].delta.content or "" for chunk in chunks]
                assert "".join(pieces) == ours[2][0]
                server.fault = lambda number, body: refusal(500, "EngineDeadError")
                with pytest.raises(openai.InternalServerError, match="no vLLM server") as caught:
                    said(client_of(url))
                assert caught.value.status_code == 503
    assert ours[-1][0] in set("1235678") and server.bodies


def test_nobody_waits_for_a_longer_reply_of_somebody_else(run) -> None:
    trained = open_run(run)

    def slow(number: int, body: dict) -> float | None:
        return SLOW_S if body["sampling_params"]["max_tokens"] == 9 else None

    with serving(trained.source, slow) as server:
        with_servers(run, server.url)
        trained = open_run(run)
        with (
            trained.playing(engine="vllm") as player,
            served(make_app(Offer("small", player, trained.game))) as url,
            ThreadPoolExecutor(1) as pool,
        ):
            client, asked = client_of(url), len(server.bodies)
            long = pool.submit(said, client, temperature=0, max_tokens=9)
            while len(server.bodies) == asked:
                time.sleep(0.01)
            assert said(client, temperature=0, max_tokens=2)[0]
            assert not long.done()
            assert long.result(60)[0]


def test_the_command_starts_a_server_and_ends_it(run, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TESUJI_ENGINE_PYTHON", str(python_with_it(tmp_path)))
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    recipe["sampling"] |= {"engine": "local", "url": []}
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    line = [sys.executable, "-m", "tesuji", "serve", str(run), "--port", "0", "--engine", "vllm"]
    child = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    try:
        while not (match := re.search(r"(http://\S+)/v1", words := child.stdout.readline())):
            assert words, "it ended"
        table = {"game": {"name": "tic_tac_toe", "moves": [4, 0]}}
        assert said(client_of(match[1]), extra_body=table)[0] in set("1235678")
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=30) == 0
    finally:
        child.kill()
        child.wait()
    lines = [" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])]
    assert not [line for line in lines if str(run) in line and "--model" in line]
