"""Logs read by actors of a real Ray on this machine: the bytes of `here`."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from made_logs import game, row, write, write_lines

from tesuji.core.errors import EngineError
from tesuji.datasets.from_logs.stage import make_data_from_logs
from tesuji.logs.files import OUTPUTS, SUMMARY
from tesuji.logs.importing import import_logs
from tesuji.logs.jobs import Job
from tesuji.logs.readers import Readers
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.schema.data import LogsStage

pytestmark = pytest.mark.engines
pytest.importorskip("ray", reason="make test-engines installs it")
RAY = Readers("ray", processes=2)
TESUJI = [sys.executable, "-m", "tesuji"]


def content(out: Path) -> dict[str, bytes]:
    """All that an import has written."""
    assert {path.name for path in out.iterdir()} == {*OUTPUTS, SUMMARY}
    return {name: (out / name).read_bytes() for name in (*OUTPUTS, SUMMARY)}


def readers_below() -> list[psutil.Process]:
    """The actors that are reading just now, by the title that Ray gives them."""
    below = psutil.Process().children(recursive=True)
    return [one for one in below if "Reader.read" in " ".join(_words(one))]


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _until(holds: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_command_gives_the_bytes_of_here(tmp_path: Path) -> None:
    """Five jobs of files of all kinds, two of them larger than all others."""
    logs = tmp_path / "logs"
    for number in range(620):
        write(logs / f"{number:03d}.json", game(game_id=f"g{number}"))
    write_lines(logs / "a.jsonl", [row(player_game_id=number) for number in range(3000)])
    write_lines(logs / "deep" / "z.jsonl", [{"prompt": "a", "response": "b"}, [1], 3] * 3000)
    (logs / "500.json").write_text('{"observations": [')
    (logs / "loop").symlink_to(logs)
    import_logs([logs], tmp_path / "here", processes=1)
    words = ["--out", "ray", "--engine", "ray", "--processes", "2"]
    subprocess.run([*TESUJI, "data", "import", "logs", *words], cwd=tmp_path, check=True)
    assert content(tmp_path / "ray") == content(tmp_path / "here")


def test_a_killed_actor_costs_a_retry(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    for name in "abcd":
        write_lines(logs / f"{name}.jsonl", [row(player_game_id=n) for n in range(3000)])
    import_logs([logs], tmp_path / "here", processes=1)
    killed: list[int] = []

    def kill() -> None:
        _until(lambda: bool(readers_below()), 120)
        victim = readers_below()[0]
        victim.kill()
        killed.append(victim.pid)

    killer = threading.Thread(target=kill)
    killer.start()
    import_logs([logs], tmp_path / "ray", readers=RAY)
    killer.join()
    assert killed
    assert content(tmp_path / "ray") == content(tmp_path / "here")


def test_actors_that_die_again_and_again_are_an_error_with_the_files(tmp_path: Path) -> None:
    write_lines(tmp_path / "logs" / "a.jsonl", [row()] * 3000)
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.01):
            for one in readers_below():
                one.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(EngineError, match="lost, 3 times over") as error:
            import_logs([tmp_path / "logs"], tmp_path / "out", readers=RAY)
    finally:
        over.set()
        killer.join()
    assert error.value.where == "logs/a.jsonl"
    assert not list((tmp_path / "out").iterdir())


def test_actors_that_see_other_files_are_refused(tmp_path: Path) -> None:
    """As on a machine without the logs, whose actors would refuse every file of them."""
    job = Job(((tmp_path / "a.json", "a.json"),), "auto", frozenset(), tmp_path, 0)
    reading = RAY.read([job], [tmp_path / "elsewhere"], lambda kilobytes: None)
    with pytest.raises(EngineError, match=r"does not see .*elsewhere") as error:
        next(reading)
    assert error.value.where == "stages.logs.address"


def test_a_stage_makes_the_same_data(tmp_path: Path) -> None:
    few = "stages.logs.make.games=20"
    for name, words in {"here": [], "ray": ["engine=ray", "processes=2"]}.items():
        recipe = load_recipe("mafia/tiny", [few, *(f"stages.logs.{word}" for word in words)])
        stage = recipe.stages["logs"]
        assert isinstance(stage, LogsStage)
        make_data_from_logs(recipe, stage, tmp_path / name)
    ours, theirs = (
        {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        for out in (tmp_path / "here", tmp_path / "ray")
    )
    assert len(ours) > 12
    assert theirs == ours
