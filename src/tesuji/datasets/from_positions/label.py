"""Positions with an oracle's answers: which moves are best, and which keep the value."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tesuji.core.progress import SILENT, Progress
from tesuji.core.types import Move
from tesuji.datasets.from_positions.positions import Position
from tesuji.games.base import Game
from tesuji.players.base import Player
from tesuji.players.search.minimax import MoveValue, best_moves, optimal_moves
from tesuji.players.search.oracle import move_values, oracle_moves


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
    """Ask the oracle about every position. Raises GameError when it cannot answer."""
    progress.begin("labelling", len(positions))
    for position in positions:
        yield _label_one(game, position, oracle)
        progress.advance()


def _label_one(game: Game, position: Position, oracle: Player) -> Labelled:
    request = position.request(game)
    values = move_values(oracle, request)
    if values is None:
        chosen = oracle_moves(oracle, request)
        return Labelled(position, chosen, chosen, {})
    return Labelled(position, best_moves(values), optimal_moves(values), values)
