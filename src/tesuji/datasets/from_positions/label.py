"""Positions with an oracle's answers: which moves are best, and which keep the value."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tesuji.core.progress import SILENT, Progress
from tesuji.core.types import Move
from tesuji.datasets.from_positions.positions import Position
from tesuji.games.base import Game
from tesuji.players.base import Player
from tesuji.players.search.minimax import (
    MinimaxPlayer,
    MoveValue,
    best_moves,
    optimal_moves,
)
from tesuji.players.search.oracle import all_oracle_moves, batch_size

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Labelled:
    """A position, the moves to teach (`best`), and those that keep its value (`optimal`).

    `values` is what the oracle knows of every legal move, or empty where it only chooses.
    """

    position: Position
    best: tuple[Move, ...]
    optimal: tuple[Move, ...]
    values: dict[Move, MoveValue]


def label(
    game: Game,
    positions: Sequence[Position],
    oracle: Player,
    progress: Progress = SILENT,
) -> Iterator[Labelled]:
    """Ask the oracle about every position. One that answers in words and names no legal move, asked
    twice, leaves that position out. Raises GameError when it cannot answer."""
    progress.begin("labelling", len(positions))
    size, left_out = batch_size(oracle), 0
    for start in range(0, len(positions), size):
        for item in _label_some(game, positions[start : start + size], oracle):
            left_out += not item.best
            if item.best:
                yield item
            progress.advance()
    if left_out:
        log.warning("%s named no legal move in %d positions: left out", oracle.name, left_out)


def _label_some(game: Game, positions: Sequence[Position], oracle: Player) -> Iterator[Labelled]:
    requests = [position.request(game) for position in positions]
    if isinstance(oracle, MinimaxPlayer):
        for position, request in zip(positions, requests, strict=True):
            values = oracle.solve(request.match)
            yield Labelled(position, best_moves(values), optimal_moves(values), values)
        return
    for position, chosen in zip(positions, all_oracle_moves(oracle, requests), strict=True):
        yield Labelled(position, chosen, chosen, {})
