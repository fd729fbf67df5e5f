"""How good the moves are on a fixed set of positions, as an oracle sees it.

Every position is asked about once, with no retry: an illegal reply is not an optimal move.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from tesuji.core.progress import SILENT, Progress
from tesuji.core.statistics import wilson
from tesuji.core.types import Attempt, Move
from tesuji.datasets.from_positions.template_thoughts import is_true
from tesuji.episodes.reply_rules import read_attempt
from tesuji.evaluation.results import PositionScore
from tesuji.evaluation.shares import Share, all_here
from tesuji.games.base import Game, Match
from tesuji.players.base import MoveRequest, Player

CHUNK = 1024


@dataclass(frozen=True, slots=True)
class PositionQuestion:
    """A position with its answers: `optimal` moves keep its value, `best` ones also win soonest
    or lose latest. `split` says whether training saw it."""

    match: Match
    seat: int
    split: str
    best: frozenset[int]
    optimal: frozenset[int]


Answered = tuple[PositionQuestion, Attempt]


def score_moves(
    game: Game,
    player: Player,
    questions: Sequence[PositionQuestion],
    *,
    answer: Literal["id", "move"] = "move",
    progress: Progress = SILENT,
    share: Share = all_here,
) -> tuple[PositionScore, ...]:
    """One score a split, "trained" before "held_out"; `share` says who asks about which."""

    def ask(mine: Sequence[PositionQuestion]) -> list[Attempt]:
        attempts: list[Attempt] = []
        for start in range(0, len(mine), CHUNK):
            asked = [(question.match, question.seat) for question in mine[start : start + CHUNK]]
            attempts += _attempts_at(game, player, asked, answer)
            progress.advance(len(attempts) - start)
        progress.advance(len(questions) - len(mine))
        return attempts

    attempts = share(questions, ask)
    by_split: dict[str, list[Answered]] = {}
    for question, attempt in zip(questions, attempts, strict=True):
        by_split.setdefault(question.split, []).append((question, attempt))
    return tuple(_score(game, split, by_split[split]) for split in sorted(by_split, reverse=True))


def moves_at(
    game: Game, player: Player, places: Iterable[tuple[Match, int]], answer: Literal["id", "move"]
) -> list[Move | None]:
    """What the player does in each (match, seat), asked in one batch; None: nothing legal."""
    return [attempt.move for attempt in _attempts_at(game, player, places, answer)]


def _attempts_at(
    game: Game, player: Player, places: Iterable[tuple[Match, int]], answer: Literal["id", "move"]
) -> list[Attempt]:
    requests = [
        MoveRequest(game, match, seat, match.observe(seat), match.legal_moves(seat), seed=0)
        for match, seat in places
    ]
    replies = player.choose(requests) if requests else []
    pairs = zip(replies, requests, strict=True)
    return [read_attempt(reply, request, answer) for reply, request in pairs]


def _score(game: Game, split: str, answered: Sequence[Answered]) -> PositionScore:
    moves = [(question, attempt.move) for question, attempt in answered]
    optimal = sum(move is not None and move.id in q.optimal for q, move in moves)
    words = [len(attempt.thought.split()) for _, attempt in answered if attempt.thought]
    return PositionScore(
        split=split,
        positions=len(answered),
        legal=sum(move is not None for _, move in moves),
        optimal=optimal,
        best=sum(move is not None and move.id in q.best for q, move in moves),
        optimal_interval=wilson(optimal, len(answered)),
        thoughts=len(words),
        true_thoughts=_true_thoughts(game, answered) if words else None,
        thought_words=sum(words) / len(words) if words else 0.0,
    )


def _true_thoughts(game: Game, answered: Sequence[Answered]) -> int | None:
    """How many replies hold a thought that is true of their move; None where it cannot be told."""
    verdicts = [
        is_true(attempt.thought, game, question.match, question.seat, attempt.move)
        for question, attempt in answered
        if attempt.move is not None and attempt.thought
    ]
    return None if None in verdicts else sum(map(bool, verdicts))
