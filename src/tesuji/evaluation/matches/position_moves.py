"""How good the moves are on a fixed set of positions, as an oracle sees it.

Every position is asked about once, with no retry: an illegal reply is not an optimal move.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from tesuji.core.progress import SILENT, Progress
from tesuji.core.statistics import wilson
from tesuji.core.types import Move
from tesuji.episodes.reply_rules import read_attempt
from tesuji.evaluation.results import PositionScore
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


def score_moves(
    game: Game,
    player: Player,
    questions: Sequence[PositionQuestion],
    *,
    answer: Literal["id", "move"] = "move",
    progress: Progress = SILENT,
) -> tuple[PositionScore, ...]:
    """One score a split, "trained" before "held_out"."""
    moves: list[Move | None] = []
    for start in range(0, len(questions), CHUNK):
        asked = [(question.match, question.seat) for question in questions[start : start + CHUNK]]
        moves += moves_at(game, player, asked, answer)
        progress.advance(len(moves) - start)
    splits = sorted({question.split for question in questions}, reverse=True)
    return tuple(
        _score(split, [(q, m) for q, m in zip(questions, moves, strict=True) if q.split == split])
        for split in splits
    )


def moves_at(
    game: Game, player: Player, places: Iterable[tuple[Match, int]], answer: Literal["id", "move"]
) -> list[Move | None]:
    """What the player does in each (match, seat), asked in one batch; None: nothing legal."""
    requests = [
        MoveRequest(game, match, seat, match.observe(seat), match.legal_moves(seat), seed=0)
        for match, seat in places
    ]
    replies = player.choose(requests) if requests else []
    return [
        read_attempt(reply, request, answer).move
        for reply, request in zip(replies, requests, strict=True)
    ]


def _score(split: str, answered: Sequence[tuple[PositionQuestion, Move | None]]) -> PositionScore:
    optimal = sum(move is not None and move.id in q.optimal for q, move in answered)
    return PositionScore(
        split=split,
        positions=len(answered),
        legal=sum(move is not None for _, move in answered),
        optimal=optimal,
        best=sum(move is not None and move.id in q.best for q, move in answered),
        optimal_interval=wilson(optimal, len(answered)),
    )
