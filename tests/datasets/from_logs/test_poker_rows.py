"""Poker hands through the whole stage: one hand on one side, and no winner where nobody knows."""

import json
from collections import defaultdict
from pathlib import Path

import pytest
from made_rows import built, rows

from tesuji.logs.synthetic.poker import make_poker_logs

ALL = {"seats": "all", "legal": False, "deduplicate": False}


@pytest.fixture(scope="module")
def logs(tmp_path_factory) -> Path:
    """Hands, some of them in two files, some misprinted, some cashed out."""
    out = tmp_path_factory.mktemp("made")
    make_poker_logs(out, games=240, seed=2, traps=True)
    (out / "pairs.jsonl").unlink()
    return out


def hands(out: Path) -> dict[str, list[dict]]:
    """Match → what the import says of each of its hands."""
    found = defaultdict(list)
    for row in rows(out / "processed" / "episodes.jsonl"):
        found[row["provenance"]["match"]].append(row["provenance"])
    return found


def matches(path: Path) -> set[str]:
    return {row["about"]["match"] for row in rows(path)}


@pytest.mark.parametrize("seed", range(3))
def test_a_hand_seen_by_two_players_is_on_one_side(logs: Path, tmp_path: Path, seed: int):
    built(tmp_path, [logs / "pokerstars"], seed, select=ALL, held_out=0.5)
    train, held_out = matches(tmp_path / "train.jsonl"), matches(tmp_path / "held_out.jsonl")
    twice = {m for m, views in hands(tmp_path).items() if len(views) == 2 and "Stars" in m}
    assert len(twice) > 5 and twice <= train | held_out
    assert twice & train and twice & held_out
    assert not train & held_out


def test_hands_that_do_not_balance_are_rows_but_never_say_who_won(logs: Path, tmp_path: Path):
    built(tmp_path / "all", [logs / "pokerstars"], select=ALL)
    odd = {
        match
        for match, views in hands(tmp_path / "all").items()
        if {"results_disputed", "cashed_out"} & {*views[0]["notes"]}
    }
    assert len(odd) > 5
    assert odd <= matches(tmp_path / "all" / "train.jsonl")
    pairing = {"by": ["outcome"], "near": "phase"}
    stats = built(tmp_path / "won", [logs], select={"seats": "winners"}, pairs=pairing)
    won = matches(tmp_path / "won" / "train.jsonl")
    paired = json.dumps(rows(tmp_path / "won" / "pairs.jsonl"))
    assert won and not odd & won
    assert "PokerStars-" in paired and not any(match in paired for match in odd)
    assert any("losers' replies are" in line and "'fold'" in line for line in stats["warnings"])
