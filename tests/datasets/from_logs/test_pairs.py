"""Which replies are paired, how near they are, who prefers, and what is left out."""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from llm_server import completion, serving
from made_rows import (
    LONG,
    PAIRS,
    built,
    chosen,
    counts,
    decision,
    episode,
    rows,
    stage,
    turn,
    vote,
    why,
)
from pydantic import ValidationError

from tesuji.core.errors import EngineError
from tesuji.core.types import Attempt, Ending, Episode, Found, Message, Move, Turn
from tesuji.datasets.from_logs.pairs import agreeing
from tesuji.datasets.judge import verdict
from tesuji.episodes.store import write_episodes

ALL = {"seats": "all", "legal": False, "deduplicate": False}


def paired(folder: Path, games: list[Episode], near: str = "phase", **changes) -> tuple:
    """(by, near, chosen, rejected) of every pair, and what was found."""
    asked = {"by": ["outcome"], "near": near, **changes}
    found, pool = chosen(folder, games, select=ALL, pairs=asked)
    texts = [
        (made.by, made.near, pool.replies.get(made.chosen), _text(made.rejected, pool))
        for made in found.plans
    ]
    return sorted(texts), found


def _text(rejected: Any, pool) -> str:
    return rejected if isinstance(rejected, str) else pool.replies.get(rejected)


def at(match: str, said: Turn, won: bool, *before: Turn) -> Episode:
    return episode(match, *before, said, winners=[said.seat] if won else [5])


def test_the_nearest_situation_is_taken_and_named(tmp_path: Path):
    same, other, far = "[GAME] Voting phase. A\n", "[GAME] Voting phase. B\n", "C\n"
    games = [
        at("w1", vote("[1]", shown=same), True),
        at("l1", vote("[2]", shown=same), False),  # the same prompt
        at("w2", vote("[1]", shown=other), True, turn("x", shown="before\n")),
        at("l2", vote("[3]", shown=other), False),  # the same text at another turn
        at("w3", vote("[1]", shown=far), True, turn("y", shown="b\n"), turn("z", shown="c\n")),
        at("l3", vote("[4]", shown="D\n"), False, turn("v", shown="d\n")),
    ]
    texts, found = paired(tmp_path, games)
    assert [t for t in texts if "[" in t[2]] == [
        ("outcome", "phase", "[1]", "[4]"),
        ("outcome", "position", "[1]", "[3]"),
        ("outcome", "prompt", "[1]", "[2]"),
    ]
    for made in found.plans:
        turn_, bad = made.at, made.other
        assert (turn_.game, turn_.role, turn_.phase, turn_.type) == (
            bad.game, bad.role, bad.phase, bad.type
        )  # fmt: skip
        assert abs(turn_.turn - bad.turn) <= 2
    assert {t[1] for t in paired(tmp_path, games, near="prompt")[0]} == {"prompt"}
    assert {t[1] for t in paired(tmp_path, games, near="position")[0]} == {"prompt", "position"}


def test_other_roles_phases_and_far_turns_are_no_match(tmp_path: Path):
    three = [turn(str(n), shown=f"{n}\n", phase="night_doctor", targets=[1]) for n in range(3)]
    games = [
        at("w", vote("[1]"), True),
        at("role", vote("[2]", role="Mafia"), False),
        at("phase", turn("[2]", phase="night_doctor", targets=[2]), False),
        at("late", vote("[3]", shown="late\n"), False, *three),
    ]
    assert paired(tmp_path, games)[0] == []


def test_a_reply_from_elsewhere_must_have_been_legal_where_the_chosen_one_was_said(tmp_path: Path):
    games = [
        at("w", vote("[1]", shown="A\n", targets=[1, 2]), True),
        at("l", vote("[4]", shown="B\n"), False),
    ]
    assert paired(tmp_path, games)[0] == []
    games[1] = at("l", vote("[2]", shown="B\n"), False)
    assert paired(tmp_path, games)[0] == [("outcome", "phase", "[1]", "[2]")]
    given_away = replace(games[0], ending=Ending.FORFEIT)
    assert paired(tmp_path, [given_away, games[1]])[0] == []
    assert paired(tmp_path, [games[0], replace(games[1], ending=Ending.FORFEIT)])[0] == []


def test_each_reply_stands_in_at_most_one_pair_of_a_kind(tmp_path: Path):
    games = [at(f"w{n}", turn(f"good {n}"), True) for n in range(5)]
    games += [at(f"l{n}", turn(f"bad {n}"), False) for n in range(3)]
    texts, _ = paired(tmp_path, games)
    assert len(texts) == 3
    assert len({t[2] for t in texts}) == len({t[3] for t in texts}) == 3


def test_a_retry_is_preferred_to_the_reply_before_it_and_legal_to_illegal(tmp_path: Path):
    games = [
        at("a", vote("[1]", first="hm", shown="A\n"), True),
        at("b", vote("[2]", shown="B\n", targets=[1, 2]), True),
        at("c", vote("[7]", shown="C\n", legal=False), True),
    ]
    texts, found = paired(tmp_path, games, by=["legality"])
    assert texts == [("legality", "phase", "[2]", "[7]"), ("legality", "prompt", "[1]", "hm")]
    assert [made.first for made in found.plans if made.near == "prompt"] == [True]
    games[2] = at("c", vote("[1]", shown="C\n", legal=False, targets=[]), True)
    texts, _ = paired(tmp_path, games, by=["legality"])
    assert [t[1] for t in texts] == ["prompt"], "what was illegal there is legal here"
    games[1:] = [
        at("b", vote("[2]", shown="B\n", targets=[]), True),
        at("c", vote("hm", shown="C\n", legal=False), True),
    ]
    texts, _ = paired(tmp_path, games, by=["legality"])
    assert ("legality", "phase", "[2]", "hm") not in texts, "what was legal there is not known"


def test_the_prompt_of_a_retry_s_pair_is_that_of_the_first_attempt(tmp_path: Path):
    asked = tuple(Message(role="user", content=text) for text in ("Move?",))
    again = (*asked, Message(role="assistant", content="?"), Message(role="user", content="Again."))
    attempts = (
        Attempt("?", prompt=asked),
        Attempt("x1", found=Found.EXACT, move=Move(1, "x1"), prompt=again),
    )
    game = episode("a", Turn(0, "x", "board", attempts, Move(1, "x1")), game="tic_tac_toe")
    write_episodes(tmp_path / "g.jsonl", [game])
    pairs = {"by": ["legality"]}
    built(tmp_path / "out", [tmp_path / "g.jsonl"], pairs=pairs)
    (pair,) = rows(tmp_path / "out" / "pairs.jsonl")
    assert (pair["prompt"], pair["chosen"], pair["rejected"]) == (list(asked), "x1", "?")
    (row,) = rows(tmp_path / "out" / "train.jsonl")
    assert row["prompt"] == list(again)
    assert (tmp_path / "out/final/tictactoe_dpo_dataset.jsonl").exists()


def test_a_solver_s_decision_over_another_legal_one(tmp_path: Path):
    legal = ("fold", "call", "raise 300")
    games = [decision("call", legal, f"h{n}") for n in range(30)]
    games += [decision("fold", ("fold",), "no choice")]
    texts, found = paired(tmp_path, games, by=["oracle"])
    assert len(texts) == 30
    assert {(t[2], t[3]) for t in texts} == {("call", "fold"), ("call", "raise 300")}
    assert paired(tmp_path, games[::-1], by=["oracle"])[0] == texts
    assert {made.at.type for made in found.plans} == {"decision"}


def by_number(number: int, body: dict[str, Any]) -> Any:
    """Prefers the reply with the higher number; of equal tens it always says A."""
    shown = body["messages"][0]["content"]
    a, b = (int(n) for n in re.findall(r"^reply (\d+)$", shown, re.MULTILINE))
    return completion("A" if a // 10 == b // 10 else "The answer is A." if a > b else "B")


def judge(url: str) -> dict[str, Any]:
    return {"base_url": url, "model": "m", "retries": 0, "timeout_s": 5, "concurrency": 2}


def test_a_judge_is_asked_in_both_orders_and_only_once(tmp_path: Path):
    numbers = range(11, 99, 4)
    games = [at(f"m{n}", turn(f"reply {n}"), True) for n in numbers]
    games += [at("same", turn("reply 11"), True)]
    with serving(by_number, delay=0) as server:
        asked = {"by": ["judge"], "judge": judge(server.url)}
        texts, found = paired(tmp_path, games, **asked)
        made, undecided = len(texts), found.dropped["judge undecided"]
        assert made >= 4 and len(server.bodies) == 2 * (made + undecided)
        swapped = [plan.at.reply_span != plan.chosen for plan in found.plans]
        assert any(swapped) and not all(swapped)
        for by, near, good, bad in texts:
            assert (by, near) == ("judge", "prompt")
            assert int(good.split()[1]) > int(bad.split()[1])
        assert "[GAME] Day breaks." in server.bodies[0]["messages"][0]["content"]
        before = len(server.bodies)
        assert paired(tmp_path, games, **asked)[0] == texts
        assert len(server.bodies) == before, "answers are kept in judge.sqlite"


def test_a_judge_without_an_opinion_makes_no_pair(tmp_path: Path):
    games = [at(f"m{n}", turn(f"reply {n}"), True) for n in range(12)]
    with serving(lambda *_: completion("A"), delay=0) as server:
        texts, found = paired(tmp_path, games, by=["judge"], judge=judge(server.url))
    assert not texts and found.dropped["judge undecided"] == len(server.bodies) / 2 > 0


@pytest.mark.parametrize(
    ("answer", "said"),
    [("A", "A"), ("**B**", "B"), ("Reply B.", "B"), ("A or B", ""), ("ABC", ""), (None, "")],
)
def test_what_a_judge_s_answer_says(answer: str | None, said: str):
    assert verdict(answer) == said


def test_a_judge_that_is_not_there_is_one_message(tmp_path: Path):
    games = [at(f"m{n}", turn(f"reply {n}"), True) for n in range(12)]
    with pytest.raises(EngineError) as caught:
        paired(tmp_path, games, by=["judge"], judge=judge("http://127.0.0.1:9/v1"))
    said = str(caught.value)
    assert "no verdicts from http://127.0.0.1:9" in said and "stages.logs.pairs.judge" in said
    assert "thoughts" not in said


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ({"select": {"quality": True}}, "select.quality"),
        ({"pairs": {"by": ["outcome", "judge"]}}, "a judge"),
    ],
)
def test_strict_compliance_refuses_heuristics(asked: dict[str, Any], what: str):
    with pytest.raises(ValidationError, match=f"no heuristics, and {what} is one"):
        stage(compliance="strict", **asked)
    assert stage(**asked).compliance == "standard"


def test_equal_contrary_and_repeated_pairs_are_left_out_and_counted():
    dropped: Counter[str] = Counter()
    keys = [(1, 2, 3), (1, 3, 2), (1, 2, 2), (2, 5, 6), (2, 5, 6), (3, 5, 6)]
    ranks = [(1, 9), (1, 8), (1, 7), (1, 6), (1, 5), (1, 4)]
    assert agreeing(keys, ranks, dropped) == {4, 5}
    assert dropped == {"contradictory": 2, "equal": 1, "duplicate": 1}


def log_pair(chosen: str, rejected: str, prompt: str = "Vote.", **about) -> dict[str, Any]:
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected, "about": about}


def test_pairs_of_logs_are_taken_on_the_side_of_their_match(tmp_path: Path):
    told = [log_pair(f"yes {n}", "no", f"Q{n}", match=f"m{n % 6}", seat="x") for n in range(60)]
    told += [log_pair("a", "b"), log_pair("b", "a"), log_pair("c", "d"), log_pair("c", "d")]
    told += [log_pair("e", " e ")]
    (tmp_path / "logs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told))
    found = built(tmp_path / "out", [tmp_path / "logs.jsonl"], held_out=0.3)
    assert found["imported"]["rejected_by_reason"] == {"equal_pair": 1}
    assert found["pairs"]["dropped"] == {"contradictory": 2, "duplicate": 1}
    assert found["pairs"]["by_near"] == {"log/prompt": 61}
    assert found["train_pairs"] + found["held_out_pairs"] == 61
    sides = [rows(tmp_path / "out" / name) for name in PAIRS]
    matches = [{row["about"]["match"] for row in side} for side in sides]
    assert len(sides[1]) >= 10 and not matches[0] & matches[1]
    assert {row["about"]["seat"] for side in sides for row in side} == {None}, "a seat is a number"
    said = " ".join(found["warnings"])
    assert "2 contradictory pairs were left out" in said
    assert "1 pairs of the logs had chosen = rejected" in said
    assert "length bias: chosen replies have 6 characters on average, rejected ones 2" in said


def test_a_cap_on_pairs_is_drawn_and_told(tmp_path: Path):
    games = [at(f"w{n}", turn(f"good {n}"), True) for n in range(12)]
    games += [at(f"l{n}", turn(f"bad {n}"), False) for n in range(12)]
    texts, found = paired(tmp_path, games, max_pairs=5)
    assert len(texts) == 5 and found.dropped["max_pairs"] == 7
    assert paired(tmp_path, games[::-1], max_pairs=5)[0] == texts
    assert "max_pairs" not in paired(tmp_path, games, max_pairs=12)[1].dropped


def warned(folder: Path, games: list[Episode], **changes) -> str:
    write_episodes(folder / "g.jsonl", games)
    found = built(folder / "out", [folder / "g.jsonl"], **changes)
    return " | ".join(found["warnings"])


def test_one_sided_labels_and_sets_that_never_fold_are_warned_about(tmp_path: Path):
    legal = ("fold", "call", "raise 300")
    games = [decision("call" if n % 9 else "raise 300", legal, f"h{n}") for n in range(60)]
    said = warned(tmp_path, games, select={"seats": "all"})
    assert "label imbalance: 88% of 60 decision rows say 'call'" in said
    assert "no row says 'fold', which was possible in 60" in said
    even = [decision(legal[n % 3], legal, f"h{n}") for n in range(60)]
    assert "imbalance" not in warned(tmp_path, even, select={"seats": "all"})


def test_replies_of_like_length_are_no_bias(tmp_path: Path):
    games = [at(f"w{n}", turn(f"good {n:04}"), True) for n in range(60)]
    games += [at(f"l{n}", turn(f"bad  {n:04}"), False) for n in range(60)]
    assert "bias" not in warned(tmp_path, games, pairs={"by": ["outcome"]})


def test_pairs_stand_on_their_side_with_both_matches(tmp_path: Path):
    made = {"kind": "mafia", "games": 15}
    found = built(tmp_path, make=made, held_out=0.3, pairs={"by": ["outcome", "legality"]})
    sides = [rows(tmp_path / name) for name in PAIRS]
    assert [len(side) for side in sides] == [found["train_pairs"], found["held_out_pairs"]]
    assert sum(found["pairs"]["by_near"].values()) == sum(map(len, sides))
    matches = [
        {row["about"][fact] for row in side for fact in ("match", "rejected_match")} - {None}
        for side in sides
    ]
    assert all(matches) and not matches[0] & matches[1]
    prompts = [
        {row["about"]["match"] for row in rows(tmp_path / name)}
        for name in ("prompts.jsonl", "held_out_prompts.jsonl")
    ]
    assert not prompts[0] & prompts[1] and not prompts[0] & matches[1]


def test_winners_who_met_only_their_own_words_are_counted(tmp_path: Path):
    good = [at(f"w{n}", turn("same"), True) for n in range(4)]
    bad = [at("l", turn("same"), False)]
    texts, found = paired(tmp_path, good + bad)
    assert not texts and found.dropped == {"equal": 4}


def night(reply: str, *before: Turn, match: str, won: bool, role: str = "Doctor") -> Episode:
    shown = "[GAME] Night phase - choose one player to protect: [1], [2], [3]\n"
    said_ = turn(reply, shown=shown, role=role, phase="night_doctor", targets=[1, 2, 3])
    return at(match, said_, won, *before)


def test_two_first_nights_against_unknown_players_are_no_preference(tmp_path: Path):
    begin = turn(None, shown="[GAME] Welcome to Secret Mafia!\n")
    blind = [night("[1]", begin, match="w", won=True), night("[2]", begin, match="l", won=False)]
    texts, found = paired(tmp_path / "1", blind)
    assert texts == [] and found.dropped["first night, targets unknown"] == 1
    day = turn(None, shown="[GAME] Day breaks. Discuss for 3 rounds.\n")
    later = [night("[1]", day, match="w", won=True), night("[2]", day, match="l", won=False)]
    assert len(paired(tmp_path / "2", later)[0]) == 1
    itself = [night("[0]", begin, match="w", won=True), night("[2]", begin, match="l", won=False)]
    assert len(paired(tmp_path / "3", itself)[0]) == 1
    mates = turn(None, shown="Your teammates are: Player 0, Player 2.\n")
    of_mafia = [night("[1]", mates, match="w", won=True), night("[2]", mates, match="l", won=False)]
    assert len(paired(tmp_path / "4", of_mafia)[0]) == 1


def test_winners_pairs_of_one_label_are_warned_about(tmp_path: Path):
    def hand(number: int, reply: str, won: bool) -> Episode:
        made = decision(reply, ("fold", "call"), f"hand {number} {won}")
        [one] = made.turns
        prompt = (Message(role="user", content=f"You hold {number}."),)
        one = replace(one, attempts=(replace(one.attempts[0], prompt=prompt),))
        about = {"kind": "phh", "match": f"{number} {won}", "winners": [0] if won else []}
        return replace(made, turns=(one,), provenance=about)

    def sentences(folder: Path, good: list[str]) -> str:
        games = [hand(n, reply, True) for n, reply in enumerate(good)]
        bad = ["fold" if reply == "call" else "call" for reply in good]
        games += [hand(n, reply, False) for n, reply in enumerate(bad)]
        write_episodes(folder / "logs" / "a.jsonl", games)
        stats = built(folder / "out", [folder / "logs"], pairs=pairing, select=ALL)
        card = (folder / "out" / "README.md").read_text()
        page = (folder / "out" / "statistics.html").read_text()
        words = [line for line in stats["warnings"] if "pairs by outcome" in line]
        assert all("pairs by outcome" in text for text in (card, page)) is bool(words)
        return "; ".join(words)

    pairing = {"by": ["outcome"], "near": "prompt"}
    one_sided = sentences(tmp_path / "1", ["call"] * 20)
    assert "the winner's reply is 'call' in 20 of 20" in one_sided
    assert "no winner's reply of 20 pairs by outcome is 'fold', 20 losers' replies are" in one_sided
    assert sentences(tmp_path / "2", ["call", "fold"] * 10) == ""


def test_bare_brackets_in_a_discussion_are_counted_and_can_be_left_out(tmp_path: Path):
    games = [episode("a", turn("[3]"), turn(LONG), turn("[ Player 2 ]"), vote("[1]"))]
    found, pool = chosen(tmp_path, games, select=ALL)
    assert len(found.rows) == 4 and sum(t.bare for t in pool.candidates) == 2
    found, _ = chosen(tmp_path, games, select={**ALL, "spoken": True})
    assert counts(found)["spoken"] == (2, 2)
    assert why(found, "spoken") == {"nothing but a bracket": 2}
    write_episodes(tmp_path / "logs" / "a.jsonl", games)
    stats = built(tmp_path / "out", [tmp_path / "logs"], select=ALL)
    assert stats["bare_brackets_in_discussion"] == 2
    assert any(
        "2 replies of a discussion are nothing but a bracket" in w for w in stats["warnings"]
    )
