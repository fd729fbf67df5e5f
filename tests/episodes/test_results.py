"""How a match went, in one place: several seats, one seat, forfeits, games that know no winning."""

import math
from dataclasses import replace

import pytest

from tesuji.core.types import Ending, Episode
from tesuji.episodes.results import ended_by, rate, result_of, score_of, success_of
from tesuji.games.base import GameInfo
from tesuji.games.catalogue import load_game


def match(*returns: float, **changes: object) -> Episode:
    players = tuple(f"player {seat}" for seat in range(len(returns)))
    return replace(Episode("a game", {}, 1, players, (), returns), **changes)  # type: ignore[arg-type]


def info(low: float, high: float, won_by: str = "pay", seats: int = 1) -> GameInfo:
    return replace(
        load_game("catch").info,
        min_utility=low,
        max_utility=high,
        won_by=won_by,
        seats=(seats, seats),
    )


FORFEIT = {"ending": Ending.FORFEIT, "offender": 0}


@pytest.mark.parametrize(
    ("episode", "result"),
    [
        (match(1, -1), "win"),
        (match(0, 0), "draw"),
        (match(3, 5), "loss"),
        (match(5, 5, 2), "draw"),
        (match(1, 1, 1, provenance={"winners": [0, 2]}), "win"),
        (match(1, 1, 1, provenance={"winners": [1]}), "loss"),
        (match(1, -1, provenance={"winners": []}), "win"),
        (match(1, -1, ending=Ending.ERROR), "error"),
        (match(1.0), "unknown"),
        (match(0.1, provenance={"winners": []}), "loss"),
        (match(1.0, provenance={"winners": [0]}), "win"),
        (match(1.0, provenance={"winners": [0]}, ending=Ending.ERROR), "error"),
    ],
)
def test_what_a_match_was_for_seat_0(episode: Episode, result: str) -> None:
    assert result_of(episode, 0) == result


def test_for_one_seat_only_a_win_scores_more_than_a_half() -> None:
    game = info(-1, 1)
    lost = [match(paid, provenance={"winners": []}) for paid in (-1, 0, 0.9, 1)]
    scores = [score_of(episode, 0, game) for episode in lost]
    assert scores == sorted(scores) and scores[0] == 0 and scores[-1] < 0.5
    assert not any(success_of(episode, 0, game) for episode in lost)
    assert score_of(match(1, provenance={"winners": [0]}), 0, game) == 1.0
    forfeit = match(0.9, provenance={"winners": []}, **FORFEIT)
    assert ended_by(forfeit, 0) and score_of(forfeit, 0, game) == 0.0
    assert score_of(match(5, provenance={"winners": []}), 0, info(0, math.inf, "verdict")) == 0.0


def test_where_nothing_is_won_the_score_is_what_was_paid() -> None:
    assert score_of(match(30), 0, info(0, 40, "")) == 0.75
    assert score_of(match(30), 0, info(-math.inf, math.inf, "")) == 30
    assert success_of(match(30), 0, info(0, 40, "")) is None
    assert rate([None, True, None, False]) == (1, 2)


@pytest.mark.parametrize(
    ("game", "has"),
    [
        (info(0, 1), True),
        (info(0, math.inf), False),
        (info(0, math.inf, "verdict"), True),
        (info(0, 0), False),
        (info(0, 40, ""), False),
        (info(0, 40, "", seats=2), True),
    ],
)
def test_which_games_know_winning(game: GameInfo, has: bool) -> None:
    assert game.has_winners is has
