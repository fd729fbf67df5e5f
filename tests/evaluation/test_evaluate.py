"""Scores, intervals, moves on positions and the certificate: real games, known truths."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from tesuji.core.errors import GameError
from tesuji.core.statistics import mean_interval, wilson
from tesuji.core.types import Ending
from tesuji.datasets.from_positions.label import label
from tesuji.datasets.from_positions.positions import all_positions
from tesuji.datasets.from_positions.template_thoughts import template_thought
from tesuji.episodes.reply_rules import TurnRules
from tesuji.evaluation.evaluate import Subject, evaluate
from tesuji.evaluation.matches.against import EVALUATED, play_opponent, rotated_tasks, score_matches
from tesuji.evaluation.matches.certificate import certify
from tesuji.evaluation.matches.position_moves import PositionQuestion, score_moves
from tesuji.games.catalogue import load_game
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.players.basic.random import RandomPlayer
from tesuji.players.search.minimax import MinimaxPlayer
from tesuji.recipe.schema.recipe import EvaluationSection
from tesuji.recipe.schema.sections import PromptSection
from tesuji.report.words import positions_sentence

TTT = load_game("tic_tac_toe", {})


class First(Player):
    """Always the first legal move."""

    name = "first"

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        return [Reply(move=request.legal[0]) for request in requests]


class Mute(Player):
    """Never a legal move."""

    name = "mute"

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        return [Reply(text="...") for _ in requests]


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [  # R: binom::binom.wilson(x, n)
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (81, 100, 0.7222, 0.8749),
    ],
)
def test_wilson_intervals_are_the_published_ones(successes, trials, low, high):
    interval = wilson(successes, trials)
    assert interval.low == pytest.approx(low, abs=1e-4)
    assert interval.high == pytest.approx(high, abs=1e-4)


def test_without_trials_nothing_is_known():
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)
    assert mean_interval([3.0]).high == math.inf


def test_a_mean_interval_is_two_standard_errors_wide():
    interval = mean_interval([1.0, -1.0] * 50)
    assert interval.high == pytest.approx(1.96 * 1.00504 / 10, abs=1e-3)
    assert interval.low == pytest.approx(-interval.high)


def test_every_seat_is_taken_evenly_and_shares_the_deal():
    tasks = rotated_tasks(load_game("kuhn_poker", {"players": 3}), "random", 30, seed=1)
    seats = [task.players.index(EVALUATED) for task in tasks]
    assert [seats.count(seat) for seat in range(3)] == [10, 10, 10]
    assert len({task.seed for task in tasks}) == 10


def test_minimax_never_loses_and_random_is_scored_from_its_own_viewpoint():
    episodes = play_opponent(
        TTT, MinimaxPlayer(), RandomPlayer(), episodes=40, seed=1, rules=TurnRules()
    )
    both, first, second = score_matches("random", episodes)
    assert (both.seat, first.seat, second.seat) == (None, 0, 1)
    assert both.losses == 0
    assert both.games == first.games + second.games == 40
    assert both.wins == first.wins + second.wins > 20
    assert both.wins + both.draws + both.losses + both.errors == both.games
    mirrored = play_opponent(
        TTT, RandomPlayer(), MinimaxPlayer(), episodes=40, seed=1, rules=TurnRules()
    )
    assert next(score_matches("minimax", mirrored)).wins == 0


def test_forfeits_and_gifts_are_told_apart():
    ours = play_opponent(TTT, Mute(), RandomPlayer(), episodes=10, seed=1, rules=TurnRules())
    score = next(score_matches("random", ours))
    assert (score.losses, score.forfeits, score.gifts) == (10, 10, 0)
    assert (score.replies, score.illegal) == (20, 20)
    theirs = play_opponent(TTT, First(), Mute(), episodes=10, seed=1, rules=TurnRules())
    score = next(score_matches("mute", theirs))
    assert (score.wins, score.forfeits, score.gifts, score.illegal) == (10, 0, 10, 0)
    assert all(episode.ending is Ending.FORFEIT for episode in theirs)


def questions(split=lambda key: "trained") -> list[PositionQuestion]:
    return [
        PositionQuestion(
            item.position.match,
            item.position.seat,
            split(item.position.key),
            frozenset(move.id for move in item.best),
            frozenset(move.id for move in item.optimal),
        )
        for item in label(TTT, all_positions(TTT), MinimaxPlayer())
    ]


def test_minimax_plays_every_position_best_and_random_as_chance_has_it():
    asked = questions()
    perfect = score_moves(TTT, MinimaxPlayer(), asked)[0]
    assert perfect.positions == perfect.optimal == perfect.best == perfect.legal == 4520
    expected = sum(len(q.optimal) / len(q.match.legal_moves(q.seat)) for q in asked) / 4520
    chance = score_moves(TTT, RandomPlayer(), asked)[0]
    assert chance.optimal / 4520 == pytest.approx(expected, abs=0.02)
    assert score_moves(TTT, Mute(), asked)[0].legal == 0


def test_splits_are_scored_apart():
    asked = questions(lambda key: "held_out" if key.startswith("1|") else "trained")
    trained, held_out = score_moves(TTT, First(), asked)
    assert (trained.split, trained.positions) == ("trained", 2423)
    assert (held_out.split, held_out.positions) == ("held_out", 2097)


def test_thoughts_are_counted_where_they_are_legal_true_and_short():
    class Thinks(Player):
        """A true thought before the first legal cell, then one of another cell, then none."""

        name = "thinks"

        def choose(self, requests):
            return [self._reply(number, request) for number, request in enumerate(requests)]

        def _reply(self, number, request):
            cell, other = (request.legal[place] for place in (0, -1))
            about = (cell, other, None)[number % 3]
            thought = about and template_thought(TTT, request.match, request.seat, about)
            return Reply(text=f"<think>{thought}</think>{cell.id}" if about else f"{cell.id}")

    asked = [one for one in questions() if len(one.match.legal_moves(one.seat)) > 1][:30]
    score = score_moves(TTT, Thinks(), asked)[0]
    assert (score.legal, score.thoughts, score.true_thoughts) == (30, 20, 10)
    assert 5 <= score.thought_words <= 9
    assert "with a thought 20, true of the move 10" in positions_sentence(score)
    silent = score_moves(TTT, RandomPlayer(), asked)[0]
    assert (silent.thoughts, silent.true_thoughts) == (0, None)
    assert "thought" not in positions_sentence(silent)


def test_the_certificate_holds_for_minimax():
    certificates = certify(TTT, MinimaxPlayer())
    assert [certificate.role for certificate in certificates] == ["x", "o"]
    assert all(certificate.holds for certificate in certificates)
    assert [certificate.losing_line for certificate in certificates] == [(), ()]
    assert certificates[0].lines > 50


def test_the_certificate_finds_the_shortest_way_to_beat_the_first_legal_move():
    x, o = certify(TTT, First())
    assert not x.holds
    assert not o.holds
    assert len(o.losing_line) == 5
    match = TTT.start(0)
    for text in o.losing_line:
        seat = match.to_act[0]
        match.play(seat, next(m for m in match.legal_moves(seat) if m.text == text))
    assert match.returns() == (1.0, -1.0)
    assert o.losing_line[0].startswith("x(")


def test_all_lines_against_a_fixed_policy_are_walked():
    """Against "first legal move" the opponent's choices alone make the tree: count it apart."""

    def count(match, seat) -> int:
        if not match.to_act:
            return 1
        mover = match.to_act[0]
        moves = match.legal_moves(mover)
        total = 0
        for move in moves[:1] if mover == seat else moves:
            child = match.clone()
            child.play(mover, move)
            total += count(child, seat)
        return total

    for seat, certificate in enumerate(certify(TTT, First())):
        assert certificate.lines == count(TTT.start(0), seat)


def test_an_illegal_reply_loses_its_line():
    x, o = certify(TTT, Mute())
    assert (x.lines, x.losses, x.illegal) == (1, 1, 1)
    assert (o.lines, o.losses, o.illegal) == (9, 9, 9)
    assert x.losing_line == ("(no legal move)",)


def test_a_tree_too_big_to_walk_is_refused_in_words(monkeypatch):
    monkeypatch.setattr("tesuji.evaluation.matches.certificate.LINE_LIMIT", 20)
    with pytest.raises(GameError, match="more than 20 lines"):
        certify(TTT, First())


@pytest.mark.parametrize("name", ["kuhn_poker", "pig", "matrix_rps"])
def test_no_certificate_where_it_would_prove_nothing(name):
    with pytest.raises(GameError, match="no certificate"):
        certify(load_game(name, {}), RandomPlayer())


def test_a_whole_evaluation_has_its_baseline_beside_it():
    section = EvaluationSection.model_validate(
        {"opponents": ["random", "minimax"], "episodes": 10, "certificate": True}
    )
    recorded = []
    found = evaluate(
        Subject("before", "none", First()),
        section,
        game=TTT,
        prompt=PromptSection(),
        questions=questions()[:50],
        seed=1,
        record=recorded.append,
    )
    assert len(recorded) == 20
    assert {row.opponent for row in found.matches} == {"random", "minimax"}
    assert [row.seat for row in found.matches] == [None, 0, 1] * 2
    assert [row.opponent for row in found.baseline] == [row.opponent for row in found.matches]
    assert len(found.certificates) == 2
    assert found.positions[0].positions == 50


def test_matches_and_positions_may_be_played_in_parts_anywhere():
    """Some matches wait for a place, and they end in another order than they begin in."""
    section = EvaluationSection.model_validate(
        {"opponents": ["random"], "beside": ["random"], "episodes": 300}
    )

    def look(**how):
        recorded = []
        found = evaluate(
            Subject("before", "none", RandomPlayer()),
            section,
            game=TTT,
            prompt=PromptSection(),
            questions=questions()[:50],
            seed=1,
            record=recorded.append,
            **how,
        )
        return replace(found, seconds=0.0), recorded

    def in_parts(items, do):
        ends = [0, len(items) // 3, len(items) // 3, len(items)]
        parts = {end: do(items[start:end]) for start, end in reversed(list(pairwise(ends)))}
        return [one for end in sorted(parts) for one in parts[end]]

    assert look(share=in_parts) == look()
    assert len(look()[1]) == 300
