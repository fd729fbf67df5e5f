"""What is drawn among the turns of logs: the solver's other decision, and the row that stays."""

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from made_rows import decision, episode, turn

from tesuji.datasets.from_logs.candidates import Candidate, action_of, collect
from tesuji.datasets.from_logs.filters import distinct
from tesuji.datasets.from_logs.pairs import by_oracle
from tesuji.episodes.store import write_episodes

LEGAL = ("fold", "call", "raise 200", "raise 300", "raise 600")
LABELS = {"fold": 1000, "call": 500, "raise 300": 40}


def turns_of(folder: Path, episodes: list) -> list[Candidate]:
    write_episodes(folder / "episodes.jsonl", episodes)
    return collect(folder / "episodes.jsonl", seed=1).candidates


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Counter[tuple[str, str]]:
    """(label, rejected decision) → how often, of 1,540 decisions with the same legal ones."""
    labels = [label for label, count in LABELS.items() for _ in range(count)]
    hands = [decision(label, LEGAL, f"h{n}") for n, label in enumerate(labels)]
    plans = list(by_oracle(turns_of(tmp_path_factory.mktemp("hands"), hands), seed=1))
    assert len(plans) == len(hands)
    return Counter((plan.at.move[1], plan.rejected) for plan in plans)


def test_an_action_is_rejected_about_as_often_as_it_is_a_label(drawn: Counter):
    rejected = Counter()
    for (_, text), count in drawn.items():
        rejected[action_of(text)] += count
    assert rejected["raise"] < 2.5 * LABELS["raise 300"], "a rare label is rarely rejected"
    assert rejected["call"] > rejected["fold"], (
        "folds are most labels, and cannot be rejected there"
    )
    # Of folds, calls and raises are rejected as 501 to 41, their labels plus one: 76 raises in all;
    # four standard errors are 34.
    folds = {text: count for (label, text), count in drawn.items() if label == "fold"}
    raises = sum(count for text, count in folds.items() if action_of(text) == "raise")
    assert folds["call"] + raises == 1000
    assert raises == pytest.approx(1000 * 41 / (501 + 41), abs=34)


def test_the_sizes_of_one_action_are_alike_and_the_label_is_never_rejected(drawn: Counter):
    sizes = [drawn["fold", text] + drawn["call", text] for text in LEGAL[2:]]
    # of about 76 + 20 raises; four standard errors of a third of them are 19
    assert all(size == pytest.approx(sum(sizes) / 3, abs=19) for size in sizes)
    assert not any(label == text for label, text in drawn)
    assert {text for label, text in drawn if label == "raise 300"} <= set(LEGAL) - {"raise 300"}


@pytest.mark.parametrize("ranks", list(itertools.permutations((1, 2, 3))))
def test_of_equal_rows_the_one_with_the_lowest_rank_stays(tmp_path: Path, ranks: tuple[int, ...]):
    games = [episode(f"m{n}", turn("the same")) for n in range(3)]
    games.append(episode("m3", turn("another")))
    turns = turns_of(tmp_path, games)
    ranked = [replace(one, rank=rank) for one, rank in zip(turns, (*ranks, 9), strict=True)]
    best = ranked[ranks.index(1)]
    assert distinct(ranked) == [one for one in ranked if one is best or one.match == "m3"]
