"""Which turns of logs become rows: every rule with its counts, and the split by match."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_rows import (
    GAME,
    LONG,
    ROWS,
    built,
    chosen,
    counts,
    episode,
    replies,
    rows,
    turn,
    vote,
    why,
)

from tesuji.core.errors import DataError
from tesuji.core.types import Ending, Episode
from tesuji.datasets.from_logs.split import held_out_matches
from tesuji.datasets.from_logs.strategy_words import indicators, quality
from tesuji.episodes.store import write_episodes
from tesuji.games.textarena.secretmafia import named, voted_out

ANY = {"select": {"seats": "all", "legal": False, "deduplicate": False}}


def select(**changes) -> dict:
    return {"select": {**ANY["select"], **changes}}


def test_turns_without_words_are_no_rows_and_are_counted(tmp_path: Path):
    found, pool = chosen(tmp_path, [episode("a", turn("hi"), turn("  \n"), turn(None))], **ANY)
    assert replies(found.rows, pool) == ["hi"]
    assert counts(found) == {"a reply that is not empty": (2, 1)}
    assert why(found, "a reply that is not empty") == {"empty": 2}


def test_only_winners_whoever_told_it(tmp_path: Path):
    told_by_seat = {"winners": None, "seat": 1}
    games = [
        episode("a", turn("won", 0), turn("lost", 1)),
        episode("b", turn("won too", 1), turn("another's", 0), outcome="win", **told_by_seat),
        episode("c", turn("drawn", 1), outcome="draw", **told_by_seat),
        episode("d", turn("nobody knows"), winners=None),
        episode("e", turn("given away"), ending=Ending.FORFEIT),
    ]
    found, pool = chosen(tmp_path, games, **select(seats="winners"))
    assert replies(found.rows, pool) == ["won", "won too"]
    assert counts(found)["seats: winners"] == (5, 2)
    assert why(found, "seats: winners") == {
        "did not win": 2,
        "not known who won": 2,
        "won by the illegal reply of another": 1,
    }


def test_illegal_replies_are_dropped_and_no_others(tmp_path: Path):
    games = [
        episode("a", vote("[2]"), vote("[9]", legal=False)),
        episode("b", turn("fine", 1), ending=Ending.FORFEIT),
    ]
    found, pool = chosen(tmp_path, games, **select(legal=True))
    assert replies(found.rows, pool) == ["[2]", "fine"]
    assert counts(found)["legal"] == (1, 2)


@pytest.mark.parametrize(
    ("shown", "out"),
    [
        ("[GAME] Player 3 was eliminated by vote.", 3),
        ("[Player 1] I saw it.\n[GAME] Player 12 has been voted out\n", 12),
        ("[GAME] No consensus - nobody was eliminated.", -1),
        ("[GAME] Player 3 was eliminated by vote.\n[GAME] No consensus", -1),
        ("[GAME] Player 3 was eliminated by vote.\n[GAME] Player 1 was eliminated by vote.", 1),
        ("[GAME] Player 3 was killed during the night.", None),
        ("[Player 4] [GAME] Player 3 was eliminated by vote.", None),
        ("", None),
    ],
)
def test_who_was_voted_out_is_read_in_the_game_s_own_words(shown: str, out: int | None):
    assert voted_out(shown) == out


def test_only_votes_that_hit_and_rows_tell_who_went_out(tmp_path: Path):
    told = "[GAME] Player 2 was eliminated by vote.\n"
    game = episode(
        "a",
        vote("[2]", 0),
        vote("[3]", 1),
        vote("[2]", 2),
        turn("So be it.", 0, shown=told, continues=True),
        turn("I was wrong.", 1, shown=told, continues=True),
        vote("[4]", 0, shown="[GAME] Voting phase.\n", continues=True),
        turn("Hm.", 0, shown="[GAME] No consensus - nobody was eliminated.\n", continues=True),
        vote("[2]", 0, shown="[GAME] Voting phase.\n", continues=True),
        turn("And?", 0, shown="[Player 3] Well.\n", continues=True),
    )
    found, pool = chosen(tmp_path, [game], **select(decisive_votes=True))
    assert replies(found.rows, pool) == ["[2]", "So be it.", "I was wrong.", "Hm.", "And?"]
    assert counts(found)["decisive_votes"] == (4, 5)
    assert why(found, "decisive_votes") == {
        "hit nobody, or another player": 2,
        "result not told": 2,
    }
    assert [(t.seat, t.eliminated, t.hit) for t in pool.candidates if t.type == "vote"] == [
        (0, 2, True), (1, 2, False), (2, None, None), (0, -1, False), (0, None, None)
    ]  # fmt: skip


def test_only_the_phases_that_are_named(tmp_path: Path):
    game = episode("a", vote("[2]"), turn("hi"), turn("[1]", phase="night_doctor", targets=[1]))
    found, pool = chosen(tmp_path, [game], **select(phases=["voting", "night_doctor"]))
    assert replies(found.rows, pool) == ["[2]", "[1]"]
    assert why(found, "phases") == {"other phase": 1}


def test_the_guide_s_rule_about_form_counts_words_as_it_says():
    assert indicators("I trust nobody; trusting is no Strategy. Distrust!") == 2
    assert quality("", won=False, role="") == 0.5
    assert quality("trust " * 100, won=False, role="") == pytest.approx(0.5 + 0.05 + 0.2)
    assert quality("vote quiet", won=True, role="Villager") == pytest.approx(0.5 + 0.01 + 0.1 + 0.1)
    words = "analyze suspect trust evidence pattern alliance strategy"
    assert quality(words, won=False, role="") == pytest.approx(0.5 + 0.3 + len(words) / 1000)
    assert quality(f"{words} " * 10, won=True, role="Villager") == 1.0


def test_the_rule_about_form_looks_at_speech_alone(tmp_path: Path):
    few = "I really do believe that Player 2 is the one, and so should you all."
    game = episode("a", turn(LONG), turn(few), turn("I suspect a pattern."), vote("[2]"))
    found, pool = chosen(tmp_path, [game], **select(quality=True))
    assert replies(found.rows, pool) == [LONG, "[2]"]
    assert why(found, "quality") == {"too few words of strategy": 1, "too short": 1}
    assert [turn.score for turn in found.rows] == [quality(LONG, won=True, role="Villager"), None]
    found, pool = chosen(tmp_path, [game], **select(quality=True, min_score=0.99))
    assert why(found, "quality")["score too low"] == 1
    loose = select(quality=True, min_characters=20, min_indicators=0)
    assert len(chosen(tmp_path, [game], **loose)[0].rows) == 4


def test_equal_rows_once_and_caps_by_match_and_in_all(tmp_path: Path):
    games = [episode(f"m{n}", *(turn(f"{n} {i}") for i in range(8))) for n in range(4)]
    copy = episode("copy", *games[0].turns)
    found, _ = chosen(tmp_path, [*games, copy], **select(deduplicate=True))
    assert counts(found)["deduplicate"] == (8, 32)
    alone = [turn.match for turn in found.rows].count("m0")
    assert 0 < alone < 8, "which of two equal rows stays is drawn"
    left = 3 * 3 + min(3, alone) + min(3, 8 - alone)
    both = select(deduplicate=True, max_rows_per_game=3, max_rows=10)
    found, _ = chosen(tmp_path, [*games, copy], **both)
    assert counts(found)["max_rows_per_game"] == (32 - left, left)
    assert counts(found)["max_rows"] == (left - 10, 10)
    matches = [turn.match for turn in found.rows]
    assert max(map(matches.count, matches)) <= 3


def test_balance_makes_classes_even_and_leaves_the_unknown_alone(tmp_path: Path):
    def game(name: str, role: str, won: bool, number: int, **about) -> Episode:
        turns = [turn(f"{name} {i}", role=role) for i in range(number)]
        return episode(name, *turns, winners=[0] if won else [1], **about)

    games = [
        game("a", "Mafia", True, 10),
        game("b", "Mafia", False, 30),
        game("c", "Villager", True, 40),
        game("d", "Villager", False, 20),
        game("e", "", True, 5),
    ]
    found, _ = chosen(tmp_path, games, **select(balance=["role", "outcome"]))
    roles = [turn.role for turn in found.rows]
    assert roles.count("") > 0
    assert roles.count("Mafia") == pytest.approx(roles.count("Villager"), rel=0.05)
    won = [turn.won for turn in found.rows]
    assert won.count(True) == pytest.approx(won.count(False), rel=0.05)
    assert min(roles.count("Mafia"), won.count(True)) >= 20, "no more is thrown away than must be"
    ((dropped, left),) = [c for name, c in counts(found).items() if name.startswith("balance")]
    assert dropped + left == 105 and left == len(found.rows)


def test_every_report_adds_up_on_made_logs_with_all_rules_on(tmp_path: Path):
    rules = {
        "seats": "winners", "legal": True, "decisive_votes": True, "quality": True,
        "phases": ["discussion", "voting"], "balance": ["role"], "max_rows_per_game": 9,
        "max_rows": 60, "min_characters": 10, "min_indicators": 0,
    }  # fmt: skip
    made = {"kind": "mafia", "games": 15, "traps": True}
    found = built(tmp_path, make=made, select=rules, held_out=0.3)
    before = found["imported"]["turns"]
    for rule in found["rules"]:
        assert rule["dropped"] + rule["left"] == before, rule
        assert sum(rule.get("why", {}).values()) in (0, rule["dropped"])
        before = rule["left"]
    assert [rule["rule"] for rule in found["rules"]] == [
        "a reply that is not empty", "seats: winners", "legal", "decisive_votes", "phases",
        "quality", "deduplicate", "balance: role", "max_rows_per_game", "max_rows",
    ]  # fmt: skip
    assert before == found["train_rows"] + found["held_out_rows"] <= 60
    written = {name: rows(tmp_path / name) for name in ROWS}
    assert [len(written[name]) for name in ROWS] == [found["train_rows"], found["held_out_rows"]]
    for row in (row for some in written.values() for row in some):
        about = row["about"]
        assert about["won"] and about["legal"] and about["phase"] in rules["phases"]
        if about["type"] == "vote":
            assert named(row["completion"]).id == about["eliminated"]
    sides = [{row["about"]["match"] for row in written[name]} for name in ROWS]
    assert all(sides) and not sides[0] & sides[1]
    assert any(
        len(
            {
                row["about"]["seat"]
                for row in written["train.jsonl"]
                if match == row["about"]["match"]
            }
        )
        > 1
        for match in sides[0]
    ), "several views of one game are one match"


def identity(found) -> set[tuple]:
    return {(t.shown_match, t.seat, t.turn, t.reply, found.held_out(t.match)) for t in found.rows}


def test_the_order_of_files_does_not_matter(tmp_path: Path):
    rng = random.Random(3)
    games = [
        episode(
            f"m{n}", *(turn(str(rng.randrange(4)), seat) for seat in range(4)), winners=range(6)
        )
        for n in range(12)
    ]
    rules = {"balance": ["phase"], "max_rows_per_game": 3, "max_rows": 14}
    asked = {"select": {"seats": "all", **rules}, "held_out": 0.4}
    straight, _ = chosen(tmp_path, games, **asked)
    for _ in range(4):
        rng.shuffle(games)
        shuffled, _ = chosen(tmp_path, games, **asked)
        assert identity(shuffled) == identity(straight)
    other, _ = chosen(tmp_path, games, seed=2, **asked)
    assert identity(other) != identity(straight)


NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
SAID = st.sampled_from(["[2]", "[3]", "I do not know.", "[9] nobody"])


@st.composite
def games_of(draw) -> Episode:
    """One view of a game: any match, any winners, speeches and votes in any order."""
    told = draw(st.lists(st.tuples(st.booleans(), SAID, st.booleans()), min_size=1, max_size=4))
    seat = draw(st.integers(0, 3))
    turns = [
        vote(words, seat, legal=words in ("[2]", "[3]"), first="well" if again else None)
        if votes
        else turn(words, seat, first="" if again else None)
        for votes, words, again in told
    ]
    return episode(draw(NAMES), *turns, winners=draw(st.sampled_from([[0, 1], [2], None])))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(games_of(), min_size=1, max_size=12),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 9),
)
def test_no_match_is_on_both_sides(tmp_path: Path, games: list[Episode], share: float, seed: int):
    pairs = {"by": ["outcome", "legality"], "near": "phase"}
    asked = {**select(deduplicate=True), "pairs": pairs, "held_out": share}
    found, pool = chosen(tmp_path, games, seed, **asked)
    matches = {turn.match for turn in pool.candidates}
    assert found.hidden <= matches and len(matches) == found.matches
    if 0 < share < 1 and len(matches) > 1:
        assert 0 < len(found.hidden) < len(matches)
    for made in found.plans:
        if made.other is not None:
            assert found.held_out(made.at.match) == found.held_out(made.other.match)
    before = sum(len(game.turns) for game in games)
    for rule in found.report.rules:
        assert rule["dropped"] + rule["left"] == before
        before = rule["left"]


def test_the_share_of_held_out_matches():
    names = [f"m{n}" for n in range(40)]
    assert len(held_out_matches(names * 3, 0.25, 1)) == 10
    assert held_out_matches(names, 0.25, 1) == held_out_matches(reversed(names), 0.25, 1)
    assert held_out_matches(names, 0.25, 1) != held_out_matches(names, 0.25, 2)
    assert not held_out_matches(names, 0, 1) and len(held_out_matches(names, 1, 1)) == 40
    assert (
        len(held_out_matches(names, 0.001, 1)) == 1 and len(held_out_matches(names, 0.999, 1)) == 39
    )
    assert not held_out_matches(["one"], 0.4, 1)


def test_where_nothing_is_left_it_is_said_why(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    game = episode("a", turn("hi"), turn("ho"), winners=None)
    write_episodes(tmp_path / "games.jsonl", [game])
    with pytest.raises(DataError) as caught:
        built(tmp_path / "out", ["games.jsonl"])
    said = str(caught.value)
    assert "1 of 1 records were taken; dropped by seats: winners 2" in said and "seats: all" in said
    assert not (tmp_path / "out" / "train.jsonl").exists()
    found = built(tmp_path / "all", ["games.jsonl"], select={"seats": "all"})
    assert (found["train_rows"], found["games"]) == (2, {GAME: 2})
    with pytest.raises(DataError, match="no such file"):
        built(tmp_path / "out", ["nowhere"])
