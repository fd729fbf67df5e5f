"""No importer takes a square of a text's length: twice the text takes about twice the time."""

import json
from collections.abc import Callable
from copy import deepcopy
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from growth import SHAPES, grows_too_fast
from made_logs import game, older, row

from tesuji.logs.accept import Taker
from tesuji.logs.files import OUTPUTS
from tesuji.logs.records import records
from tesuji.logs.registry import KINDS
from tesuji.logs.summary import ImportSummary

STARS = """PokerStars Hand #1: Hold'em No Limit ($0.01/$0.02 USD) - 2024/01/01 10:00:00 ET
Table 'x' 6-max Seat #1 is the button
Seat 1: a ($2 in chips)
Seat 2: b ($2 in chips)
a: posts small blind $0.01
b: posts big blind $0.02
*** HOLE CARDS ***
Dealt to a [Ah Kh]
a: folds
Uncalled bet ($0.01) returned to b
b collected $0.02 from pot
*** SUMMARY ***
Total pot $0.02 | Rake $0
Seat 1: a (button) (small blind) folded before Flop
"""
PHH = """variant = "NT"
antes = [0, 0]
blinds_or_straddles = [1, 2]
min_bet = 2
starting_stacks = [200, 200]
actions = ["d dh p1 AcAs", "d dh p2 ????", "p1 f"]
"""
PREFLOP = {
    "prev_line": "UTG/2.0bb",
    "hero_pos": "BTN",
    "hero_holding": "AhKh",
    "correct_decision": "call",
    "num_players": "3",
    "num_bets": "1",
    "available_moves": "['call']",
    "pot_size": "5.5",
}
ASKED = {
    "instruction": "You play poker. Your position is CO, and your holding is [King of Club].",
    "output": "fold",
}
TALK = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
ARENA = {
    "env_id": "SecretMafia-v0",
    "logs": [[-1, "Welcome to Secret Mafia!"], [-1, "Day breaks."], [0, "hm"], [1, "hm"]],
    "rewards": {"0": 1, "1": -1},
    "game_info": {"0": {"role": "Mafia", "reason": "x"}},
}
EPISODE = {"format": 1, "game": "x", "turns": [], "returns": [0], "players": [""]}
Make = Callable[[str], bytes]


def inside(value: Any, *path: Any) -> Make:
    """JSON with the text at one place of a record."""

    def make(text: str) -> bytes:
        made = deepcopy(value)
        at = made
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = text
        return json.dumps(made).encode()

    return make


def around(before: str, after: str = "") -> Make:
    return lambda text: (before + text + after).encode("utf-8", "replace")


FILES: dict[str, tuple[str, Make]] = {
    "mafia, shown": ("a.json", inside(game(), "observations", 1, "content")),
    "mafia, said": ("a.json", inside(game(), "actions", 2, "action")),
    "mafia, outcome": ("a.json", inside(game(), "outcome")),
    "mafia, reason": ("a.json", inside(game(), "game_info", "0", "reason")),
    "mafia, older": ("a.json", inside(older(), "history", 1, "response")),
    "mgc, observations": ("a.jsonl", inside(row(), "observations")),
    "mgc, reason": ("a.jsonl", inside(row(), "reason")),
    "textarena, prompt": ("a.json", inside(ARENA, "logs", 0, 1)),
    "textarena, said": ("a.json", inside(ARENA, "logs", 2, 1)),
    "episodes": ("a.jsonl", inside(EPISODE, "game")),
    "chat": ("a.jsonl", inside(TALK, "messages", 1, "content")),
    "pairs": ("a.jsonl", inside({"prompt": "a", "chosen": "b", "rejected": "c"}, "chosen")),
    "pokerbench, asked": ("a.jsonl", inside(ASKED, "instruction")),
    "pokerbench, decision": ("a.jsonl", inside(ASKED, "output")),
    "pokerbench, line": ("a.jsonl", inside(PREFLOP, "prev_line")),
    "pokerbench, moves": ("a.jsonl", inside(PREFLOP, "available_moves")),
    "pokerbench, table": (
        "a.csv",
        around(",".join(PREFLOP) + "\nUTG/2.0bb,BTN,", ",call,3,1,[],5"),
    ),
    "phh": ("a.phh", around("")),
    "phh, after": ("a.phh", around(PHH)),
    "phh, a key": ("a.phh", around(PHH, "=1")),
    "phh, before": ("a.phhs", around("", "\n[1]\n" + PHH)),
    "phh, a text": ("a.phh", around(PHH + "venue = '''", "'''")),
    "pokerstars": ("a.txt", around("PokerStars Hand #1")),
    "pokerstars, after": ("a.txt", around(STARS)),
    "pokerstars, before": ("a.txt", around("", "\n" + STARS)),
    "json": ("a.json", around("")),
    "json lines": ("a.jsonl", around("")),
    "table": ("a.csv", around("prompt,response\n")),
}


def reading(path: Path, make: Make) -> Callable[[str], object]:
    def read(text: str) -> object:
        path.write_bytes(make(text))
        into = {name: BytesIO() for name in OUTPUTS}
        take = Taker("auto", ("no_actions", "error", "timeout"), ImportSummary(), into)
        for record in records(path, path.name, take.text_importer):
            take(record)
        return take.summary

    return read


@pytest.mark.parametrize("name", FILES)
def test_reading_takes_no_square_of_the_length(tmp_path: Path, name: str) -> None:
    file, make = FILES[name]
    read = reading(tmp_path / file, make)
    slow = {shape: grows_too_fast(read, text) for shape, text in SHAPES.items()}
    assert not {shape: found for shape, found in slow.items() if found}


def test_every_kind_is_tried() -> None:
    assert {name.partition(",")[0] for name in FILES} >= set(KINDS)


@pytest.mark.parametrize("line", ["p1 f", "a: folds "])
@pytest.mark.parametrize("file", ["a.phh", "a.txt"])
def test_a_hand_longer_than_any_is_refused_unread(tmp_path: Path, line: str, file: str) -> None:
    head = PHH if file == "a.phh" else STARS
    for text in (head + (line + "\n") * (40_000 // len(line)), head + line * (9_000 // len(line))):
        summary = reading(tmp_path / file, around(text))("")
        assert summary.rejected_by_reason["too_large"] == summary.read - summary.accepted > 0
