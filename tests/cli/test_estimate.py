"""`tesuji estimate`: a table, JSON, and what it refuses."""

import json

import pytest
from places import RECIPES

from tesuji.cli.main import main


def test_estimate_prints_a_table_that_fits_a_terminal(capsys):
    assert main(["estimate", "tictactoe/tiny-grpo", "--gpu", "H100"]) == 0
    out = capsys.readouterr().out
    assert "total" in out and "KV cache" in out and "H100, 80 GB: fits" in out
    assert max(map(len, out.splitlines()[:12])) <= 80


def test_estimate_prints_json_for_other_programs(capsys):
    command = ["estimate", "tictactoe/tiny-grpo", "--json", "--processes", "2"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    update = next(one for one in found["phases"] if one["phase"] == "update")
    parts = dict(update["bytes"])
    assert parts.pop("total") == pytest.approx(sum(parts.values()))
    assert "gpu" not in found


def test_estimate_refuses_a_gpu_that_nobody_knows(capsys):
    assert main(["estimate", "tictactoe/tiny-grpo", "--gpu", "H1000"]) == 2
    assert "H100" in capsys.readouterr().err


def test_estimate_prints_hours_and_dollars_on_a_rented_machine(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    words = ["estimate", "openspiel/ppo-lora", "--on", "modal", "--gpu", "A100-40GB:2"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "On modal, A100-40GB x 2" in out and "MFU" in out and "of 2026-" in out
    assert max(map(len, out.splitlines())) <= 80
    assert main([*words, "--json"]) == 0
    bill = json.loads(capsys.readouterr().out)["bill"]
    rate = bill["price"]["dollars_per_hour"]
    assert bill["dollars"] == pytest.approx(rate * bill["seconds"] / 3600)
    assert sum(step["dollars"] or 0 for step in bill["steps"]) == pytest.approx(bill["dollars"])
    assert bill["dollars_from_to"][0] < bill["dollars"] < bill["dollars_from_to"][1]
    assert {step["gpus"] for step in bill["steps"]} == {2}


@pytest.mark.parametrize(
    ("more", "message"),
    [(["--on", "modal"], "which GPU"), (["--on", "modal", "--gpu", "A100-40GB:0"], "how many"),
     (["--on", "runpod", "--gpu", "B200"], "no price"),
     (["--on", "cloudy", "--gpu", "T4"], "--on")],
)  # fmt: skip
def test_estimate_refuses_what_cannot_be_priced(more, message, capsys):
    assert main(["estimate", "tictactoe/tiny-grpo", *more]) == 2
    assert message in capsys.readouterr().err


def test_estimate_takes_from_the_recipe_what_is_to_be_rented(tmp_path, capsys):
    recipe = tmp_path / "mine.yaml"
    modal = "{gpu: {type: T4, count: 2}, cpus: 8, memory: 65536, timeout: 60}"
    text = (RECIPES / "tictactoe" / "tiny-grpo.yaml").read_text()
    recipe.write_text(f"{text}\nmodal: {modal}\n")
    assert main(["estimate", str(recipe), "--on", "modal", "--json"]) == 0
    bill = json.loads(capsys.readouterr().out)["bill"]
    told = 2 * 0.59 + 8 * 0.047 + 64 * 0.008
    assert bill["price"]["dollars_per_hour"] == pytest.approx(told)
    assert {step["gpus"] for step in bill["steps"]} == {2}
    assert main(["estimate", str(recipe), "--on", "modal", "--gpu", "L4"]) == 0
    out = capsys.readouterr().out
    assert "On modal, L4" in out and "stopped before its end, after 0.0167 hours" in out
    assert main(["estimate", str(recipe), "--on", "modal", "--gpu", "A9"]) == 2
    err = capsys.readouterr().err
    assert "Modal has no GPU 'A9'" in err and "L40S" in err and "4090" not in err


@pytest.mark.slow
def test_a_short_run_here_is_what_minutes_are_told_by(tmp_path, capsys):
    changes = ["stages.sft.max_steps=60", "evaluation.episodes=4", "evaluation.positions=50"]
    changes += ["stages.sft.eval_steps=12"]  # a look more seldom than the short run is long
    words = ["estimate", "tictactoe/tiny", *changes, "--runs", str(tmp_path), "--json"]
    assert main([*words, "--calibrate", "8"]) == 0
    text = capsys.readouterr().out
    here = {one["step"]: one for one in json.loads(text[text.index("\n{\n") :])["here"]}
    assert set(here) == {"data", "before", "sft", "after"}
    assert all(one["by"] == "what tictactoe-tiny-calibration took" for one in here.values())
    run = json.loads((tmp_path / "tictactoe-tiny-calibration" / "manifest.json").read_text())
    assert here["sft"]["seconds"] > run["stages"]["sft"]["seconds"]
