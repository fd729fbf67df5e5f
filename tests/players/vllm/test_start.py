"""A server started here: refused where it cannot run, and ended whatever happens."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_models import WIDER, tiny_policy
from vllm_server import python_with_it

from tesuji.core.errors import EngineError, RecipeError
from tesuji.players.vllm import start
from tesuji.players.vllm.start import check_head_size, check_installed, command, started
from tesuji.recipe.schema.sections import SamplingSection

AS = {"dtype": "float32", "device": "cpu", "rank": 0}


def section(**changes):
    return SamplingSection(engine="vllm", **changes)


def script(folder, body):
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_what_is_not_there_is_refused(tmp_path, monkeypatch):
    with pytest.raises(EngineError, match="not installed") as caught:
        check_installed(section())
    assert "engine_python" in caught.value.hint
    with pytest.raises(EngineError, match="there is no program"):
        check_installed(section(engine_python="/nowhere/python"))
    with pytest.raises(EngineError, match="no Python with vLLM"):
        check_installed(section(engine_python=sys.executable))
    check_installed(section(engine_python=str(python_with_it(tmp_path))))
    monkeypatch.setenv("TESUJI_ENGINE_PYTHON", str(python_with_it(tmp_path)))
    check_installed(section(engine_python="/of/another/machine"))  # a container has its own


@pytest.mark.parametrize(("size", "fits"), [(16, False), (32, True), (48, False), (64, True)])
def test_heads_that_vllm_lacks_on_a_cpu_are_refused_by_name(size, fits):
    config = SimpleNamespace(head_dim=size)
    check_head_size(config, "cuda")
    if fits:
        check_head_size(config, "cpu")
        return
    with pytest.raises(RecipeError, match=f"heads of {size} numbers"):
        check_head_size(config, "cpu")


def test_the_command_line_says_what_the_sampler_relies_on():
    line = command(section(gpu_memory_utilization=0.5), "folder", 1, **AS | {"rank": 10})
    text = " ".join(line)
    for words in (
        "--logprobs-mode processed_logprobs --max-logprobs -1",
        "--generation-config vllm",
        "--enable-scale-out",
        "--host 127.0.0.1",
        "--enforce-eager",
        "--max-lora-rank 16",
        "--gpu-memory-utilization 0.5",
    ):
        assert words in text
    assert "--enforce-eager" not in command(section(), "folder", 1, **AS | {"device": "cuda"})
    assert "--enable-lora" not in command(section(), "folder", 1, **AS)


def test_a_server_that_ends_at_once_is_quoted(tmp_path):
    program = script(tmp_path, "echo no such option; exit 3")
    with (
        pytest.raises(EngineError, match=r"has ended.*\n.*no such option"),
        started(section(engine_python=program), "folder", log=tmp_path / "x" / "log", **AS),
    ):
        pass


def test_one_that_does_not_begin_to_answer_is_given_up_and_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(start, "STARTS_IN_S", 10.0)
    program = script(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 600")
    with (
        pytest.raises(EngineError, match="did not start within 10 s"),
        started(section(engine_python=program), "folder", log=tmp_path / "log", **AS),
    ):
        pass
    assert gone(int((tmp_path / "pid").read_text()))


def test_it_answers_while_it_is_wanted_and_is_gone_with_all_its_processes(tmp_path):
    policy = tiny_policy(shape=WIDER)
    policy.model.save_pretrained(tmp_path / "model")
    python = python_with_it(tmp_path)
    with_child = script(tmp_path, f'sleep 600 & echo $! > {tmp_path}/pid; exec {python} "$@"')
    with started(
        section(engine_python=with_child), str(tmp_path / "model"), log=tmp_path / "log", **AS
    ) as url:
        assert urllib.request.urlopen(f"{url}/v1/models").status == 200
        child = int((tmp_path / "pid").read_text())
        assert not gone(child, 0)
    assert gone(child)
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{url}/health")


def test_nothing_is_left_where_the_keeper_is_killed_too(tmp_path):
    tiny_policy(shape=WIDER).model.save_pretrained(tmp_path / "model")
    python = python_with_it(tmp_path)
    line = f'sleep 600 & echo $! > {tmp_path}/pid; exec {python} "$@"'
    options = section(engine_python=script(tmp_path, line))
    with started(options, str(tmp_path / "model"), log=tmp_path / "log", **AS):
        child = int((tmp_path / "pid").read_text())
        os.kill(os.getpgid(child), signal.SIGKILL)
        assert not gone(child, 0.5)
    assert gone(child)


def test_nothing_is_left_when_whoever_started_it_is_killed(tmp_path):
    program = script(tmp_path, f"sleep 600 & echo $$ $! > {tmp_path}/pids; exec sleep 600")
    code = (
        "from pathlib import Path\n"
        "from tesuji.players.vllm.start import started\n"
        "from tesuji.recipe.schema.sections import SamplingSection\n"
        f"section = SamplingSection(engine='vllm', engine_python={program!r})\n"
        f"with started(section, 'm', log=Path({str(tmp_path / 'log')!r}), **{AS!r}): pass\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    try:
        for _ in range(600):
            if (tmp_path / "pids").exists() and len((tmp_path / "pids").read_text().split()) == 2:
                break
            time.sleep(0.1)
        pids = [int(word) for word in (tmp_path / "pids").read_text().split()]
        assert not any(gone(pid, 0) for pid in pids)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert all(gone(pid) for pid in pids)


def gone(pid, patience=20.0):
    """Whether a process has ended, or does within so many seconds."""
    end = time.monotonic() + patience
    while True:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(0.1)
