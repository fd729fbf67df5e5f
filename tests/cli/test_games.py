"""`tesuji games`, as typed: the list, by family and at the width of a terminal."""

import json

import pytest

from tesuji.cli.main import main


def listed(capsys, *words: str) -> str:
    assert main(["games", *words]) == 0
    return capsys.readouterr().out


def test_games_are_listed_by_where_they_come_from(capsys):
    named = {g["name"]: g["family"] for g in json.loads(listed(capsys, "--json"))}
    wanted = {name for name, family in named.items() if family == "openspiel"}
    found = json.loads(listed(capsys, "--family", "OpenSpiel", "--json"))
    assert {game["name"] for game in found} == wanted and len(wanted) > 50
    both = json.loads(listed(capsys, "--family", "openspiel", "--match", "_tac_", "--json"))
    assert {game["name"] for game in both} == {name for name in wanted if "_tac_" in name}


@pytest.mark.parametrize("columns", ["80", "100", "140"])
def test_no_name_is_broken_in_two(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    names = {g["name"] for g in json.loads(listed(capsys, "--available", "--json"))}
    lines = listed(capsys, "--available").splitlines()
    shown = {line.split()[0] for line in lines if line[:1].strip()}
    assert names <= shown, sorted(names - shown)[:5]
    assert max(map(len, lines)) <= int(columns)
