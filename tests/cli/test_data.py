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
    assert "4,520" in shown and "{" not in shown, "in words"
    assert shown.count("→ ") == 3
    statistics = read_json(tmp_path / "here" / "dataset_statistics.json")
    assert statistics["train_rows"] + statistics["held_out_rows"] == 4520
    assert main(["data", "show", "here/held_out.jsonl", "-n", "2"]) == 0
    assert capsys.readouterr().out.count("→ ") == 2


def test_of_a_folder_the_files_are_listed_and_the_rows_to_train_on_shown(tmp_path: Path, capsys):
    def write(name: str, *rows: dict) -> None:
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    pair = {"prompt": "P", "chosen": "good", "rejected": "bad"}
    write("pairs.jsonl", pair)
    write("held_out.jsonl")
    assert main(["data", "show", str(tmp_path)]) == 0, "the only file that holds anything"
    shown = capsys.readouterr().out
    assert "chosen → good" in shown and "rejected → bad" in shown and "held_out" not in shown
    write("more.jsonl", {"prompt": "Q", "completion": "other"})
    assert main(["data", "show", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert "more.jsonl" in out and "pairs.jsonl" in out and "tesuji data show" in err
    write("train.jsonl", {"prompt": "Q", "completion": "fold"})
    assert main(["data", "show", str(tmp_path)]) == 0
    assert "→ fold" in capsys.readouterr().out
    (tmp_path / "imported").mkdir()
    (tmp_path / "imported" / "episodes.jsonl").write_text("{}\n")
    assert main(["data", "show", str(tmp_path / "imported")]) == 2
    assert "tesuji replay" in capsys.readouterr().err


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
        (["data", "import", ".", "--engine", "spark"], "one of: here, ray"),
        (["data", "import", ".", "--address", "auto"], "add --engine ray"),
        (["data", "import", ".", "--engine", "ray", "--address", "me@there"], "ray://HOST:PORT"),
    ],
)
def test_what_cannot_be_is_one_message(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")
