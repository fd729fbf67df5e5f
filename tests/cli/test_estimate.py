"""`tesuji estimate`: a table, JSON, and what it refuses."""

import json

import pytest

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
