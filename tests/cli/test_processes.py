"""What a process that was started with others leaves to the main one, or the launcher, to say."""

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from forked import tesuji

from tesuji.cli.run import processes
from tesuji.core.errors import ComputeError, EngineError
from tesuji.learners.distributed import LostProcess, started_alone


@pytest.fixture
def second(tmp_path: Path, monkeypatch) -> Path:
    """This process as number 1 of two; where it leaves word."""
    word = tmp_path / "word.json"
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", processes.ERROR_FILE: str(word)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    return word


def test_another_process_leaves_word_and_prints_nothing(second: Path, capsys) -> None:
    with pytest.raises(SystemExit) as ended, processes.one_of_several():
        raise EngineError("the loss is not a number", where="stages.sft.learning_rate")
    assert ended.value.code == processes.REFUSED
    assert "the loss is not a number" in json.loads(second.read_text())["message"]
    assert capsys.readouterr() == ("", "")


def test_what_deepspeeds_launcher_puts_in_front_is_left_out() -> None:
    assert tesuji("--local_rank=1", "recipes").returncode == 0


def test_one_process_that_accelerate_started_alone_is_noticed(second: Path, monkeypatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    assert not started_alone(), "it is one of two"
    monkeypatch.delenv("WORLD_SIZE")
    assert started_alone()


def test_one_that_was_let_down_says_nothing(second: Path, capsys) -> None:
    with pytest.raises(SystemExit) as ended, processes.one_of_several():
        raise LostProcess("another process of this run has ended")
    assert ended.value.code == processes.LOST
    assert not second.exists()
    assert capsys.readouterr() == ("", "")


def test_a_process_alone_raises_as_ever(monkeypatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(EngineError), processes.one_of_several():
        raise EngineError("no")


@pytest.mark.parametrize("asked", ["0,0", "one", "0,"])
def test_what_names_no_gpus_is_refused(asked: str) -> None:
    with pytest.raises(ComputeError, match="names no GPUs"):
        processes.choose_gpus(asked, None)


def test_gpus_that_are_not_there_are_refused(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ComputeError, match=r"no GPU 2: this machine shows 2"):
        processes.choose_gpus("1,2", None)


def test_gpus_are_numbered_among_those_that_are_seen(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5,7")
    with pytest.raises(ComputeError, match="2 GPUs are 2 processes"):
        processes.choose_gpus("0,2", 3)
    assert processes.choose_gpus("0,2", None) == 2
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "2,7"


def failure(exitcode: int, message: str = "") -> SimpleNamespace:
    return SimpleNamespace(exitcode=exitcode, message=message)


@pytest.mark.parametrize(
    "failures, words",
    [
        ({0: failure(processes.LOST), 1: failure(-9)}, "process 1 was killed (SIGKILL)"),
        ({0: failure(-15), 1: failure(processes.REFUSED, "out of memory")}, "out of memory"),
        ({0: failure(processes.LOST), 1: failure(processes.LOST)}, "lost each other"),
    ],
)
def test_the_launcher_says_what_no_process_could(failures: dict, words: str) -> None:
    with pytest.raises(ComputeError) as caught:
        processes.told(failures)
    assert words in str(caught.value)


@pytest.mark.parametrize("code", [processes.BUG, processes.REFUSED])
def test_what_the_main_process_has_said_is_not_said_twice(code: int) -> None:
    assert processes.told({0: failure(code), 1: failure(processes.LOST)}) == code
