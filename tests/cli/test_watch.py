"""`tesuji watch`: a run that goes on elsewhere, followed to its end, piped and on a terminal."""

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from many_runs import interrupt, make_runs
from terminal import lines_of, on_terminal

from tesuji.cli.browse.watch import BARS, sparks
from tesuji.core.run_folder import RunFolder

WATCH = ["-m", "tesuji", "watch", "run-000", "--every", "0.2"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = make_runs(tmp_path / "runs", 1) / "run-000"
    interrupt(run)
    recipe = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(recipe.replace("max_steps: -1", "max_steps: 500"))
    (run / "metrics.jsonl").unlink()
    return run


@contextmanager
def going_on(run: Path, seconds: float) -> Iterator[None]:
    """Somebody at work in it for so long, who logs a step every tenth of a second."""

    def work() -> None:
        with RunFolder(run).locked():
            held.set()
            for step in range(round(seconds * 10)):
                row = {"time": time.time(), "stage": "sft", "step": step, "loss": 2.0 / (step + 1)}
                more = {"a_metric_of_a_very_long_name" * 4: step, "eval\x1b[2J/score": 0.5}
                with (run / "metrics.jsonl").open("a") as file:
                    file.write(json.dumps(row | more) + "\n")
                time.sleep(0.1)

    held = threading.Event()
    worker = threading.Thread(target=work)
    worker.start()
    held.wait()
    yield
    worker.join()


def test_piped_it_tells_stages_and_steps_and_ends_with_the_run(run: Path, tmp_path: Path) -> None:
    with going_on(run, 8):
        command = [sys.executable, *WATCH]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "data: done" in done.stdout and "sft: running" in done.stdout
    assert re.search(r"sft: step \d+ of 500, [\d.]+ steps a second, about \d", done.stdout)
    assert "loss " in done.stdout and "\x1b" not in done.stdout
    last = done.stdout.strip().splitlines()[-2:]
    assert last[0] == "run-000: stopped after 2 of 4 stages"
    assert last[1] == "go on with it: tesuji run runs/run-000/recipe.yaml --runs runs"


def test_on_a_terminal_of_80_columns_it_keeps_one_picture(run: Path, tmp_path: Path) -> None:
    with going_on(run, 8):
        code, written = on_terminal(WATCH, cwd=tmp_path)
    lines = lines_of(written)
    assert code == 0 and max(map(len, lines)) <= 80
    assert any("2 of 4 stages done" in line for line in lines)
    assert any("loss" in line and set(line) & set(BARS) for line in lines)
    assert any(line.startswith("sft: step") and "of 500" in line for line in lines)
    assert "\x1b[2J/score" not in written and "stopped after 2 of 4 stages" in lines[-2]


def test_what_does_not_go_on_is_told_at_once(run: Path, tmp_path: Path) -> None:
    def watched() -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, *WATCH]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert "stopped after 2 of 4 stages" in watched().stdout
    (run / "manifest.json").write_text("{")
    broken = watched()
    assert broken.returncode == 2 and "not valid JSON" in broken.stderr


def test_sparks() -> None:
    assert sparks([1.0, 2.0]) == "▁█" and sparks([1.0]) == sparks([2.0, 2.0]) == ""
    assert sparks([float(n) for n in range(1000)], 8) == BARS
