"""Files, run folder, metric log: whole or absent, and honest about what is broken."""

import errno
import json
import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest

from tesuji.core import files
from tesuji.core.errors import DataError, EngineError, TesujiError
from tesuji.core.files import read_jsonl, write_jsonl
from tesuji.core.metric_log import MetricLog, TextLog
from tesuji.core.run_folder import RunFolder, StageFolder, find_run, key_of
from tesuji.core.seeds import stream


def test_an_error_says_what_where_and_what_to_do():
    error = TesujiError("no such game", where="game.name", hint="try tic_tac_toe")
    assert str(error) == "game.name: no such game\n  → try tic_tac_toe"


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "a.json"
    files.write_json(path, {"old": 1})
    with pytest.raises(ZeroDivisionError), files.atomic_path(path) as aside:
        aside.write_text("half")
        raise ZeroDivisionError
    assert files.read_json(path) == {"old": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_half_written_files_are_swept_when_the_run_is_opened_again(tmp_path: Path):
    run = RunFolder(tmp_path / "r")
    code = (
        "import os, sys; from pathlib import Path; from tesuji.core.files import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as aside: os._exit(9)"
    )
    deep = run.path / "stages" / "01-sft" / "weights"
    subprocess.run([sys.executable, "-c", code, str(deep)], check=False)
    assert len(list(deep.parent.iterdir())) == 1
    run.open(name="r", recipe="", seed=1, command="tesuji run r")
    assert not list(deep.parent.iterdir())


def test_half_a_character_is_written_as_a_question_mark(tmp_path: Path):
    write_jsonl(tmp_path / "rows.jsonl", [{"text": "a\ud83d"}])
    assert list(read_jsonl(tmp_path / "rows.jsonl")) == [(1, {"text": "a?"})]


def test_answers_paid_for_outlive_a_changed_stage(tmp_path: Path):
    stage = StageFolder(tmp_path, 1, "data")
    stage.begin("one")
    (stage.path / "thoughts.sqlite").write_bytes(b"paid")
    stage.begin("two")
    assert (stage.path / "thoughts.sqlite").read_bytes() == b"paid"
    assert stage.status("two") == "half-done"


def test_a_full_disk_is_one_clear_message(tmp_path: Path, monkeypatch):
    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "sync", full)
    with pytest.raises(DataError, match="free some disk space"):
        files.write_text(tmp_path / "a", "text")
    assert not list(tmp_path.iterdir())


def test_a_really_full_device_is_one_clear_message():
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    log = TextLog.__new__(TextLog)
    log.path = Path("/dev/full")
    with pytest.raises(DataError, match="free some disk space"):
        log.step(1, {"loss": 1.0})


def test_a_library_that_stumbles_over_a_full_disk_is_one_clear_message(tmp_path: Path, monkeypatch):
    with pytest.raises(RuntimeError, match="unexpected pos"), files.telling_full_disk(tmp_path):
        raise RuntimeError("unexpected pos")
    with pytest.raises(DataError, match="its own"), files.telling_full_disk(tmp_path):
        raise DataError("its own")
    monkeypatch.setattr(files, "FULL_BELOW", 1 << 60)
    with pytest.raises(DataError, match="the disk is full"), files.telling_full_disk(tmp_path):
        raise RuntimeError("unexpected pos")


def test_an_unwritable_folder_is_one_clear_message(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot write"):
        files.write_text(tmp_path / "file" / "a", "text")
    with pytest.raises(DataError, match="cannot write"):
        RunFolder(tmp_path / "file" / "run").open(name="a", recipe="", seed=1, command="")
    with (
        pytest.raises(DataError, match="cannot write"),
        RunFolder(tmp_path / "file" / "r").locked(),
    ):
        pass


@pytest.mark.parametrize(
    ("content", "message"),
    [(b'{"a": 1}\n{"a": \n', "lines.jsonl:2"), (b"\xff\xfe{", "not UTF-8")],
)
def test_broken_lines_name_their_place(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "lines.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(files.read_jsonl(path))


def test_missing_and_broken_json_name_the_file(tmp_path: Path):
    with pytest.raises(DataError, match=r"nothing\.json"):
        files.read_json(tmp_path / "nothing.json")
    with pytest.raises(DataError, match=r"nothing\.jsonl"):
        list(files.read_jsonl(tmp_path / "nothing.jsonl"))
    (tmp_path / "b.json").write_text("{\n oops")
    with pytest.raises(DataError, match=r"b\.json:2"):
        files.read_json(tmp_path / "b.json")
    (tmp_path / "c.json").write_bytes(b"\x81")
    with pytest.raises(DataError, match="not UTF-8"):
        files.read_json(tmp_path / "c.json")


def test_streams_follow_from_names_alone():
    assert stream(1, "a") == stream(1, "a")
    assert len({stream(seed, name) for seed in range(10) for name in "ab"}) == 20


def open_run(path: Path) -> RunFolder:
    run = RunFolder(path)
    run.open(name=path.name, recipe="name: a\n", seed=4, command="tesuji run a")
    return run


def test_the_manifest_says_what_ran(tmp_path: Path):
    run = open_run(tmp_path / "a")
    created = run.manifest()["created"]
    run.note_stage("sft", {"status": "running"})
    run.note_stage("sft", {"status": "done", "seconds": 1.5})
    again = open_run(tmp_path / "a").manifest()
    assert again["created"] == created
    assert again["stages"] == {"sft": {"status": "done", "seconds": 1.5}}
    assert again["seed"] == 4
    assert {"python", "torch", "trl"} <= again["versions"].keys()


def test_a_manifest_of_another_format_is_refused(tmp_path: Path):
    run = open_run(tmp_path / "a")
    files.write_json(run.manifest_path, {"format": 99})
    with pytest.raises(DataError, match="format"):
        run.manifest()


def _hold(path: str, ready, leave) -> None:
    with RunFolder(Path(path)).locked():
        ready.set()
        leave.wait(30)


def test_two_processes_do_not_work_in_one_run(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    ready, leave = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(str(tmp_path / "a"), ready, leave))
    other.start()
    assert ready.wait(30)
    with pytest.raises(DataError, match="another process"), RunFolder(tmp_path / "a").locked():
        pass
    leave.set()
    other.join(30)
    with RunFolder(tmp_path / "a").locked():
        pass


def test_a_stage_knows_how_far_it_is_and_loses_nothing(tmp_path: Path):
    stage = StageFolder(tmp_path, 2, "sft")
    assert stage.status("k1") == "absent"
    stage.begin("k1")
    assert stage.status("k1") == "half-done"
    (stage.path / "work").write_text("precious")
    stage.begin("k1")
    assert (stage.path / "work").exists()
    stage.finish("k1", {"seconds": 1})
    assert (stage.status("k1"), stage.status("k2")) == ("done", "changed")
    stage.begin("k2")
    assert not (stage.path / "work").exists()
    stage.begin("k3")
    assert sorted(p.name for p in (tmp_path / "stages").iterdir()) == [
        "02-sft",
        "02-sft~1",
        "02-sft~2",
    ]
    assert (tmp_path / "stages" / "02-sft~1" / "work").read_text() == "precious"


def test_keys_follow_from_values_not_from_their_order():
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    assert key_of({"a": 1}) != key_of({"a": 2})


def test_a_run_is_found_by_name_or_path_or_the_names_are_listed(tmp_path: Path):
    open_run(tmp_path / "first")
    assert find_run("first", tmp_path) == tmp_path / "first"
    assert find_run(str(tmp_path / "first"), tmp_path) == tmp_path / "first"
    with pytest.raises(DataError, match="there are: first"):
        find_run("second", tmp_path)
    with pytest.raises(DataError, match="tesuji run"):
        find_run("second", tmp_path / "nowhere")


def test_metrics_are_lines_that_survive_a_torn_end(tmp_path: Path):
    log = MetricLog(tmp_path)
    log.log("sft", 10, {"loss": 0.5, "count": 3})
    log.log("sft", 20, {"loss": float("nan")})
    with log.path.open("a") as file:
        file.write('{"stage": "sft", "st')
    rows = MetricLog(tmp_path).rows()
    assert [row["step"] for row in rows] == [10, 20]
    assert rows[0]["loss"] == 0.5
    assert rows[1]["loss"] is None


def test_a_resumed_stage_forgets_what_it_will_write_again(tmp_path: Path):
    log = MetricLog(tmp_path)
    for step in (1, 2, 3):
        log.log("sft", step, {"loss": 1.0})
    log.log("other", 9, {"x": 1.0})
    log.forget_after("sft", 2)
    assert [(row["stage"], row["step"]) for row in log.rows()] == [
        ("sft", 1),
        ("sft", 2),
        ("other", 9),
    ]


def test_a_metric_log_on_a_full_device_is_one_clear_message(tmp_path: Path):
    log = MetricLog(tmp_path)
    log.path = Path("/dev/full")
    if not log.path.exists():
        pytest.skip("no /dev/full on this system")
    with pytest.raises(DataError, match="free some disk space"):
        log.log("sft", 1, {"loss": 1.0})


def test_tensorboard_gets_the_same_numbers_over_one_axis(tmp_path: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = MetricLog(tmp_path, report_to=["tensorboard"], run_name="r", config={"seed": 1})
    log.log("sft", 10, {"loss": 0.5})
    log.log("after", 1, {"wins": 7})
    log.close()
    found = EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()
    scalars = {tag: found.Scalars(tag)[0] for tag in ("sft/loss", "after/wins")}
    assert (scalars["sft/loss"].step, scalars["sft/loss"].value) == (10, 0.5)
    assert (scalars["after/wins"].step, scalars["after/wins"].value) == (11, 7.0)


def test_wandb_offline_writes_its_run(tmp_path: Path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    log = MetricLog(tmp_path, report_to=["wandb"], run_name="r", config={"seed": 1})
    log.log("sft", 10, {"loss": 0.5})
    log.close()
    assert list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))


def test_a_tracker_that_is_not_installed_says_how_to_get_it(tmp_path: Path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(EngineError, match=r"tesuji\[trackio\]"):
        MetricLog(tmp_path, report_to=["trackio"])


def test_the_text_log_has_header_steps_and_rules(tmp_path: Path):
    log = TextLog(tmp_path, "sft")
    log.step(10, {"loss": 0.25})
    lines = log.path.read_text().splitlines()
    assert lines[0] == "SFT TRAINING LOGS"
    assert lines[1].startswith("Started: ")
    assert lines[3:] == ['Step 10: {"loss": 0.25}', "-" * 50]
    assert json.loads(lines[3].partition(": ")[2]) == {"loss": 0.25}
