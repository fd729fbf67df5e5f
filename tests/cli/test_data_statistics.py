"""`tesuji data stats` and `tesuji data card`, as typed."""

import json
from pathlib import Path

import pytest
from huggingface_hub import DatasetCard
from made_rows import built, episode, turn, vote

from tesuji.cli.main import main
from tesuji.core.files import read_json, read_jsonl, write_json
from tesuji.datasets.describe.file_statistics import bare_statistics
from tesuji.episodes.store import write_episodes

EVIL = "\x1b[2J[bold]x"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    games = [episode(f"m{n}", turn(f"I say {n}", role=EVIL), vote("[2]")) for n in range(6)]
    games += [episode("lost", turn("no"), winners=[3])]
    write_episodes(tmp_path / "games.jsonl", games)
    out = tmp_path / "data"
    built(out, [tmp_path / "games.jsonl"], pairs={}, held_out=0.3)
    return out


def words(capsys) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_the_statistics_of_a_folder_are_shown_and_its_page_written_again(folder: Path, capsys):
    page = (folder / "statistics.html").read_text()
    (folder / "statistics.html").unlink()
    assert main(["data", "stats", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "[bold]x" in shown
    said = " ".join(shown.split())
    found = read_json(folder / "dataset_statistics.json")
    assert f"train rows │ {found['train_rows']}" in said
    assert "7 of 7 records taken" in said
    assert "seats: winners │ 1 │ 12 │ did not win 1" in said
    for warning in found["warnings"]:
        assert f"beware: {warning}" in said
    assert (folder / "statistics.html").read_text() == page
    assert main(["data", "stats", str(folder / "dataset_statistics.json")]) == 0


def test_the_card_is_written_from_the_statistics(folder: Path, capsys):
    before = (folder / "README.md").read_text()
    (folder / "README.md").write_text("mine")
    found = read_json(folder / "dataset_statistics.json")
    assert main(["data", "card", str(folder)]) == 0
    assert str(folder / "README.md") in capsys.readouterr().out.replace("\n", "")
    assert (folder / "README.md").read_text() == before
    write_json(folder / "dataset_statistics.json", {**found, "train_rows": 99_999})
    assert main(["data", "card", str(folder)]) == 0
    assert DatasetCard.load(folder / "README.md").data.size_categories == ["100K<n<1M"]


def test_a_set_of_positions_has_statistics_and_a_card_too(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["data", "generate", "tictactoe/tiny", "--out", "ttt"]) == 0
    capsys.readouterr()
    assert main(["data", "stats", "ttt"]) == 0
    assert "positions │ 4,520" in words(capsys)
    assert not Path("ttt/statistics.html").exists(), "there are no rules to show"
    assert main(["data", "card", "ttt"]) == 0
    card = DatasetCard.load("ttt/README.md")
    assert card.data.pretty_name == "ttt" and "METHODOLOGY" not in card.text


def test_a_stage_of_logs_is_made_alone(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = ["stages.logs.make.games=6", "stages.logs.make.traps=false"]
    assert main(["data", "generate", "mafia/tiny", *few, "--out", "logs"]) == 0
    shown = capsys.readouterr().out
    found = read_json(tmp_path / "logs" / "dataset_statistics.json")
    assert f"train rows │ {found['train_rows']}" in " ".join(shown.split())
    assert shown.count("→ ") == 3 and "beware: " in shown


def write(path: Path, *told: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in told))
    return path


def test_a_bare_file_of_rows_is_counted_afresh(tmp_path: Path, capsys):
    row = {"prompt": "Q", "completion": "fold", "about": {"match": "m", "role": "BTN"}}
    other = {"prompt": [{"role": "user", "content": "QQQ"}], "response": "x" * 50}
    file = write(tmp_path / "rows.jsonl", row, row, other)
    found = bare_statistics(file)
    assert (found["rows"], found["repeated"], found["matches"]) == (3, 1, 1)
    assert found["role"] == {"BTN": 2} and "phase" not in found
    assert found["replies"] == {"fold": 2, "(longer)": 1}
    assert found["reply_characters"]["100%"] == 50 and found["prompt_characters"]["100%"] == 3
    assert main(["data", "stats", str(file)]) == 0
    assert "repeated │ 1" in words(capsys)
    assert not (tmp_path / "statistics.html").exists()


def test_a_bare_file_of_pairs_is_looked_at_for_what_spoils_training(tmp_path: Path, capsys):
    def pair(good: str, bad: str, prompt: str = "Q") -> dict:
        return {"prompt": prompt, "chosen": good, "rejected": bad, "about": {"by": "judge"}}

    told = [pair("aaaa", "b"), pair("b", "aaaa"), pair("c", "c"), pair("d" * 40, "e")]
    file = write(tmp_path / "p.jsonl", *told, told[3], pair("aaaa", "b", "other"))
    found = bare_statistics(file)
    assert (found["pairs"], found["repeated"], found["equal"]) == (6, 1, 1)
    assert (found["contradictory"], found["by"]) == (2, {"judge": 6})
    assert main(["data", "stats", str(file)]) == 0
    said = words(capsys)
    assert "beware: 1 equal pair " in said and "beware: 2 contradictory pairs" in said
    assert "beware: length bias: chosen replies have 15 characters, rejected ones 2" in said


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", "", "no rows"),
        ("a.jsonl", '{"messages": []}\n', "tesuji data import"),
        ("a.jsonl", "[1]\n", "neither rows nor pairs"),
        ("a.jsonl", '{"prompt": "Q", "completion": "a"}\n{"prompt": 3}\n', "a.jsonl:2"),
        ("a.jsonl", "{", "a.jsonl:1"),
        ("dataset_statistics.json", "[]", "no statistics of a data set"),
    ],
)
def test_what_cannot_be_counted_is_one_message(name, text, message, tmp_path: Path, capsys):
    (tmp_path / name).write_text(text)
    assert main(["data", "stats", str(tmp_path / name)]) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")


def test_an_imports_own_folder_says_what_it_came_to(tmp_path: Path, capsys):
    write_episodes(tmp_path / "games.jsonl", [episode("m", turn("I say"))])
    (tmp_path / "odd.jsonl").write_text("{\n")
    words_ = [str(tmp_path / "games.jsonl"), str(tmp_path / "odd.jsonl")]
    out = tmp_path / "imported"
    assert main(["data", "import", *words_, "--out", str(out), "--processes", "1"]) == 0
    said = capsys.readouterr().out
    assert main(["data", "stats", str(out)]) == 0
    assert capsys.readouterr().out == said and "not_json 1" in said
    write_json(out / "import_summary.json", {"files": 1})
    assert main(["data", "stats", str(out)]) == 2
    assert "no summary of an import: read is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"won": True}, "won │ yes 1"),
        ({"won": False}, "won │ no 1"),
        ({"type": {"kind": "mafia", "traps": True}}, "type │ kind mafia, traps yes 1"),
        ({"type": ["vote", "night"]}, "type │ vote, night 1"),
    ],
)
def test_facts_are_said_in_words_not_as_python_has_them(tmp_path: Path, capsys, about, said):
    file = write(tmp_path / "r.jsonl", {"prompt": "Q", "completion": "a", "about": about})
    assert main(["data", "stats", str(file)]) == 0
    assert said in words(capsys)


def test_one_is_not_spoken_of_as_many(tmp_path: Path, capsys):
    pair = {"prompt": "Q", "chosen": "a", "rejected": "a"}
    assert main(["data", "stats", str(write(tmp_path / "p.jsonl", pair))]) == 0
    assert "beware: 1 equal pair beware" in f"{words(capsys)} beware"


def test_games_made_here_are_named_in_words(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = ["stages.logs.make.games=6", "stages.logs.make.traps=false"]
    assert main(["data", "generate", "mafia/tiny", *few, "--out", "logs"]) == 0
    assert "6 games of mafia played here │" in words(capsys)
    found = read_json(tmp_path / "logs" / "dataset_statistics.json")
    rows = [row for _, row in read_jsonl(tmp_path / "logs" / "train.jsonl")]
    sizes = [sum(len(message["content"]) for message in row["prompt"]) for row in rows]
    counted = found["prompt_characters"]
    assert (counted["0%"], counted["100%"]) == (min(sizes), max(sizes))


def test_a_folder_without_statistics_is_one_message(tmp_path: Path, capsys):
    for command in ("stats", "card"):
        assert main(["data", command, str(tmp_path / "nowhere")]) == 2
        assert "no dataset_statistics.json there" in capsys.readouterr().err.replace("\n", " ")
