"""Folders that say what they should hold, and files of a run that were damaged on the disk."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tesuji.core.checksums import CHECKSUMS, damage, seal, set_aside_damaged
from tesuji.core.metric_log import MetricLog
from tesuji.core.run_folder import RunFolder, StageFolder


def sealed(folder: Path) -> Path:
    (folder / "deep").mkdir(parents=True)
    (folder / "a.bin").write_bytes(b"aaaa")
    (folder / "deep" / "b.bin").write_bytes(b"bbbb")
    seal(folder)
    return folder


def test_a_sealed_folder_is_sound_and_more_files_do_not_hurt(tmp_path: Path):
    folder = sealed(tmp_path / "c")
    (folder / "README").write_text("mine")
    assert damage(folder) == ""


@pytest.mark.parametrize("content", [b"aaa", b"aaab", b"", None])
def test_a_file_cut_short_changed_or_gone_is_named(tmp_path: Path, content: bytes | None):
    folder = sealed(tmp_path / "c")
    (folder / "a.bin").unlink() if content is None else (folder / "a.bin").write_bytes(content)
    assert "a.bin" in damage(folder)


@pytest.mark.parametrize("cut", ["model.safetensors", "optimizer.pt", ""])
def test_without_the_list_a_file_that_ends_too_early_is_named(tmp_path: Path, cut: str):
    save_file({"w": torch.arange(8)}, tmp_path / "model.safetensors")
    torch.save({"step": torch.arange(8)}, tmp_path / "optimizer.pt")
    (tmp_path / "training_args.bin").write_bytes(b"not ours to judge")
    if cut:
        (tmp_path / cut).write_bytes((tmp_path / cut).read_bytes()[:-20])
    assert damage(tmp_path) == (f"{cut} was cut short" if cut else "")


@pytest.mark.parametrize("text", ["", "{", "[1]", '"a"', "null"])
def test_a_broken_list_is_damage(tmp_path: Path, text: str):
    folder = sealed(tmp_path / "c")
    (folder / CHECKSUMS).write_text(text)
    assert CHECKSUMS in damage(folder)


def test_damaged_ones_are_kept_aside_down_to_the_first_sound_one(tmp_path: Path):
    folders = [sealed(tmp_path / f"step-{n}") for n in (3, 2, 1)]
    for folder in (folders[0], folders[2]):
        (folder / "a.bin").write_bytes(b"")
    told: list[str] = []
    set_aside_damaged(folders, told.append)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["damaged-step-3~1", "step-1", "step-2"]
    assert len(told) == 1 and "a.bin" in told[0]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "\x00" * 40])
def test_a_stage_whose_end_is_damaged_is_made_sure_of_again(tmp_path: Path, text: str):
    stage = StageFolder(tmp_path, 1, "sft")
    stage.begin("k")
    stage.finish("k", {})
    (stage.path / "done.json").write_text(text)
    assert (stage.status("k"), stage.status("other")) == ("unsure", "changed")
    (stage.path / "work").write_text("precious")
    stage.begin("k")
    assert (stage.path / "work").exists()
    (stage.path / "started.json").write_text(text)
    assert stage.status("k") == "lost"
    stage.begin("k")
    assert (tmp_path / "stages" / "01-sft~1" / "work").exists()


@pytest.mark.parametrize("text", ['{"format": 1, "sta', "[]", "null", "{}", ""])
def test_a_damaged_manifest_is_kept_and_written_anew(tmp_path: Path, text: str):
    run = RunFolder(tmp_path / "r")
    run.open(name="r", recipe="", seed=1, command="")
    stage = StageFolder(run.path, 1, "sft")
    stage.begin("k")
    stage.finish("k", {"seconds": 5})
    run.manifest_path.write_text(text)
    told: list[str] = []
    run.open(name="r", recipe="", seed=1, command="", say=told.append)
    assert "manifest.json" in told[0]
    assert run.manifest()["stages"] == {"sft": {"status": "done", "key": "k", "seconds": 5}}
    assert (run.path / "manifest.json~1").read_text() == text


def test_damaged_lines_of_metrics_are_left_out_counted_and_kept(tmp_path: Path):
    log = MetricLog(tmp_path)
    for step in (1, 2, 3):
        log.log("sft", step, {"loss": 1.0})
    lines = log.path.read_bytes().splitlines(keepends=True)
    damaged = b"".join(
        [lines[0], b"\xff\xfe\n", b"[]\n", b'{"stage": 1}\n', lines[2], lines[1][:9]]
    )
    log.path.write_bytes(damaged)
    again = MetricLog(tmp_path)
    assert again.lost == 3
    assert [row["step"] for row in again.rows()] == [1, 3]
    assert (tmp_path / "metrics.jsonl~1").read_bytes() == damaged
    assert all(json.loads(line) for line in log.path.read_text().splitlines())
    assert MetricLog(tmp_path).lost == 0


def test_a_folder_in_the_place_of_the_metrics_is_kept(tmp_path: Path):
    (tmp_path / "metrics.jsonl").mkdir()
    log = MetricLog(tmp_path)
    assert log.lost == 1
    log.log("sft", 1, {"loss": 1.0})
    assert len(log.rows()) == 1
    assert (tmp_path / "metrics.jsonl~1").is_dir()
