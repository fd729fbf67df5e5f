import io
import math
import re
from dataclasses import replace

import pytest
from made_run import careful, careless, evaluation, matches
from rich.console import Console

from tesuji.core.statistics import Interval
from tesuji.evaluation.results import Evaluation
from tesuji.report.headline import headline
from tesuji.report.tables.matches import evaluation_table
from tesuji.report.words import duration, interval, number, percent

# Numbers in words


@pytest.mark.parametrize(
    ("part", "whole", "digits", "said"),
    [
        (0, 10, 1, "0"),
        (10, 10, 1, "100"),
        (1, 3, 1, "33.3"),
        (9999, 10000, 1, "99.9"),
        (1, 10000, 1, "0.1"),
        (199, 200, 0, "99"),
        (1, 1000, 0, "1"),
        (0, 0, 1, "–"),
    ],
)
def test_only_all_is_100_percent_and_only_none_is_0(part, whole, digits, said) -> None:
    assert percent(part, whole, digits) == said


def test_intervals_are_rounded_outwards() -> None:
    assert interval(Interval(0.9449, 0.9951)) == "94–100"
    assert interval(Interval(0.9449, 0.9951), 1) == "94.4–99.6"
    assert interval(Interval(0.29, 0.57)) == "29–57"
    assert interval(Interval(math.nan, math.nan)) == "–"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1234567, "1,234,567"),
        (0.00012345, "0.0001234"),
        (4.0, "4"),
        (math.nan, "nan"),
        (1e300, "1e+300"),
    ],
)
def test_numbers_are_short(value, said) -> None:
    assert number(value) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1.24, "1.2 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_are_said_as_people_say_them(seconds, said) -> None:
    assert duration(seconds) == said


@pytest.fixture(scope="module")
def looks() -> tuple[Evaluation, Evaluation]:
    before = evaluation("before", matches(careless, "before"), 0.31, beaten=True)
    return before, evaluation("after sft", matches(careful, "after"), 0.9965, beaten=False)


def test_the_headline_claims_no_more_than_was_checked(looks) -> None:
    beaten, proven = looks
    assert (headline(proven).mood, headline(beaten).mood) == ("good", "bad")
    assert "18 of 601 lines" in headline(beaten).sentence
    half = replace(proven, certificates=proven.certificates[:1])
    assert headline(half).mood == "open"
    assert "seat 1 was not" in headline(half).sentence
    unproven = replace(proven, certificates=())
    assert headline(unproven).mood == "open"
    assert (
        "lost none of 60 matches, which is evidence and not a proof" in headline(unproven).sentence
    )
    assert headline(replace(beaten, certificates=())).mood == "bad"
    assert "Nothing was played" in headline(replace(unproven, matches=())).sentence


# The table in the terminal


def rendered(table, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_table_fits_and_says_it_all(looks, width) -> None:
    text = rendered(evaluation_table(*looks, width=width), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert re.search(r"as x +never loses|as x: never loses, 300 lines checked", text)
    assert "99.6% optimal (450 of 452" in text
    assert "42 of 174 replies, 21 matches lost by it" in text
    assert re.search(r"random +25( \(11–47\))? → 85 \(63–95\) +5 → 15", text)
    assert ("25 (11–47) →" in text) == (width >= 98)


def test_the_table_does_without_before(looks) -> None:
    text = rendered(evaluation_table(None, looks[0]), 80)
    assert "→" not in text
    assert "loses 9 of 300 lines; the shortest: x(0,0) o(1,1) x(0,2)" in text


def test_the_headline_of_a_poker_player_is_its_exploitability(looks) -> None:
    from tesuji.evaluation.results import Exploitability
    from tesuji.report.words import exploitability_sentence

    def measured(value: float, missing: float = 0.0) -> Exploitability:
        return Exploitability(value, 2 * value, (-0.05, 0.05), 0.4583, 12, missing)

    for value, mood in ((0.03, "good"), (0.1, "open"), (0.5, "bad")):
        found = headline(replace(looks[1], certificates=(), exploitability=measured(value)))
        assert found.mood == mood
        assert f"{value:.3f} a match" in found.sentence
    assert "0.4583" in exploitability_sentence(measured(0.03))
    assert "12.0% of replies" in exploitability_sentence(measured(0.03, missing=0.12))
