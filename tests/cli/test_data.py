"""`tesuji data`, as typed."""

import json
from pathlib import Path

import pytest

from tesuji.cli.main import main
from tesuji.core.files import read_json


def test_a_data_set_is_made_and_shown(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["data", "generate", "tictactoe/tiny", "stages.data.moves=one", "--out", "here"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "positions" in shown
    assert "4520" in shown
    assert shown.count("→ ") == 3
    statistics = read_json(tmp_path / "here" / "dataset_statistics.json")
    assert statistics["train_rows"] + statistics["held_out_rows"] == 4520
    assert main(["data", "show", "here/held_out.jsonl", "-n", "2"]) == 0
    assert capsys.readouterr().out.count("→ ") == 2


def test_what_a_row_holds_is_shown_as_it_is_and_cannot_steer_the_terminal(tmp_path: Path, capsys):
    row = {"prompt": "[bold]x[/bold] :smile:", "completion": "\x1b[2J[red]o"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "none.jsonl").write_text("")
    assert main(["data", "show", str(tmp_path / "rows.jsonl")]) == 0
    shown = capsys.readouterr().out
    assert "[bold]x[/bold] :smile:" in shown
    assert "[red]o" in shown
    assert "\x1b" not in shown
    assert main(["data", "show", str(tmp_path / "none.jsonl")]) == 0
    assert "no rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data", "generate", "tictactoe/tiny", "--stage", "sft"], "there are: data"),
        (["data", "generate", "tictactoe/tiny", "stages.data=false"], "no data stage"),
        (
            [
                *("data", "generate", "tictactoe/tiny"),
                *("stages.data.held_out=1", "stages.data.held_out_from=all"),
            ],
            "must be less than 1",
        ),
        (["data", "show", "nowhere.jsonl"], "nowhere.jsonl"),
    ],
)
def test_what_cannot_be_is_one_message(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")
