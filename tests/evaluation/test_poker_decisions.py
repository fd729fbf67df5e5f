"""Reading decisions out of replies, and scoring them as PokerBench does."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tesuji.core.errors import DataError
from tesuji.core.statistics import wilson
from tesuji.evaluation.held_out.poker_decisions import same_decision, score_decisions
from tesuji.games.poker.read_decision import Decision
from tesuji.players.poker.read_reply import read_decision


@pytest.mark.parametrize(
    ("reply", "decision"),
    [
        ("fold", Decision("fold")),
        ("Fold.", Decision("fold")),
        ("Your optimal action is: **check**", Decision("check")),
        ("I call the 50 bet", Decision("call")),
        ("call all-in", Decision("call")),
        ("allin", Decision("all-in")),
        ("All in!", Decision("all-in")),
        ("raise all-in", Decision("all-in")),
        ("I shove", Decision("all-in")),
        ("bet 18", Decision("bet", 18)),
        ("Bet: $1,200 chips", Decision("bet", 1200)),
        ("raise 2.0", Decision("raise", 2)),
        ("raise to 12.5bb", Decision("raise", 12.5, True)),
        ("raise to 3 big blinds", Decision("raise", 3, True)),
        ("Raise to $1.5k", Decision("raise", 1500)),
        ("raise from 100 to 300", Decision("raise", 300)),
        ("3-bet to 900", Decision("raise", 900)),
        ("raise to 300. Yes, raise to 300", Decision("raise", 300)),
        ("I raise, to be exact: raise to 40", Decision("raise", 40)),
        ("bet half the pot", Decision("bet")),
        ("raise by 200", Decision("raise")),
        ("<think>fold? no: I have aces</think>call", Decision("call")),
    ],
)
def test_decisions_are_read(reply, decision):
    assert read_decision(reply) == decision


@pytest.mark.parametrize(
    "reply",
    [
        "", "$300", "hm", "fold or call", "check/call", "don't fold, call", "check-raise",
        "bet 300 or 400", "raise to 300-400", "bet 10, then bet 20", "<think>fold", "folder",
        "alphabet 3", "fold" * 10_000, "the best bet is to wait",
    ],
)  # fmt: skip
def test_nothing_is_guessed(reply):
    assert read_decision(reply) is None


@given(st.text(max_size=200))
def test_any_text_can_be_read(text):
    read_decision(text)


@pytest.mark.parametrize(
    ("said", "label", "right"),
    [
        ("raise to 300", "raise 300", True),
        ("raise to 240", "raise 300", True),
        ("raise to 225", "raise 300", True),
        ("raise to 224", "raise 300", False),
        ("raise to 375", "raise 300", True),
        ("raise", "raise 300", False),
        ("raise to 300", "raise", True),
        ("raise to 3bb", "raise 300", True),
        ("bet 300", "raise 300", False),
        ("all-in", "raise 300", False),
        ("all-in", "all-in", True),
        ("call", "call", True),
        ("call", "fold", False),
    ],
)
def test_a_size_is_right_within_the_band(said, label, right):
    ours, theirs = read_decision(said), read_decision(label)
    assert theirs is not None
    assert same_decision(ours, theirs, 0.25, big_blind=100) is right


LABELS = ["fold", "call", "check", "bet 10", "raise 30", "all-in", "fold", "fold"]
SAID = ["fold", "fold", "check", "bet 11", "raise 90", "raise 50", "hm", "I fold"]


def test_action_and_exact_accuracy_with_intervals():
    score = score_decisions(SAID, LABELS)
    assert (score.action.right, score.action.total) == (6, 8)
    assert (score.exact.right, score.exact.total) == (4, 8)
    assert (score.sized.right, score.sized.total) == (1, 2)
    assert score.unread == 1
    assert score.action.interval == wilson(6, 8)
    assert score.exact.rate == 0.5
    assert {name: share.right for name, share in score.by_action.items()} == {
        "fold": 2, "call": 0, "check": 1, "bet": 1, "raise": 1, "all-in": 1,
    }  # fmt: skip
    assert score.balance.counts["fold"] == 3
    assert score.baseline is None


def test_a_wider_band_forgives_more():
    assert score_decisions(SAID, LABELS, band=2.0).exact.right == 5
    assert score_decisions(SAID, LABELS, band=0.0).exact.right == 3


def test_streets_are_told_apart():
    phases = ["preflop"] * 4 + ["river"] * 4
    action, exact = score_decisions(SAID, LABELS, phases=phases).by_phase["river"]
    assert (action.right, exact.right, action.total) == (3, 1, 4)
    assert list(score_decisions(SAID, LABELS, phases=phases).by_phase) == ["preflop", "river"]


def test_the_baseline_comes_from_the_training_labels():
    training = ["call", "call", "bet 10", "bet 12", "bet 14"]
    baseline = score_decisions(SAID, LABELS, training=training).baseline
    assert baseline is not None
    assert (baseline.action, baseline.action_share.right) == ("bet", 2)  # the all-in is a bet too
    assert (baseline.label, baseline.exact_share.right) == ("call", 1)
    assert baseline.action_share.total == 8


def test_nothing_to_score():
    score = score_decisions([], [])
    assert math.isnan(score.action.rate)
    assert score.action.interval == wilson(0, 0)


@pytest.mark.parametrize(
    ("said", "labels", "phases", "message"),
    [
        (["fold"], ["fold", "call"], None, "1 replies, 2 labels"),
        (["fold"], ["fold"], ["flop", "turn"], "2 phases"),
        (["fold"], ["banana"], None, "label 0 names no decision"),
    ],
)
def test_what_cannot_be_scored_is_said(said, labels, phases, message):
    with pytest.raises(DataError, match=message):
        score_decisions(said, labels, phases=phases)
