"""Positions on disk: `positions.jsonl`, what the rows of a data stage were made from."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tesuji.core.errors import DataError, GameError
from tesuji.core.files import read_jsonl
from tesuji.core.types import Move
from tesuji.datasets.from_positions.label import Labelled
from tesuji.datasets.from_positions.positions import Position, key_of_position
from tesuji.games.base import Game, play_through


def position_row(item: Labelled, split: str) -> dict[str, Any]:
    """A labelled position as one JSON line, with the moves that lead to it."""
    position = item.position
    return {
        "key": position.key,
        "split": split,
        "seat": position.seat,
        "observation": position.match.observe(position.seat),
        "best": [list(move) for move in item.best],
        "optimal": [list(move) for move in item.optimal],
        "seed": position.seed,
        "moves": [[seat, list(move)] for seat, move in position.moves],
    }


def read_positions(path: Path, game: Game) -> Iterator[tuple[Labelled, str]]:
    """(labelled position, split) of a `positions.jsonl`, each rebuilt by playing its moves.

    Raises DataError naming file and line when a row is broken or does not fit the game.
    """
    for number, row in read_jsonl(path):
        try:
            yield _read_position(row, game), str(row["split"])
        except (LookupError, TypeError, ValueError, ArithmeticError, GameError) as error:
            raise DataError(
                f"not a position of {game.name}: {_why(error)}",
                where=f"{path}:{number}",
                hint="make the data again: remove this stage's folder",
            ) from error


def _why(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _read_position(row: Mapping[str, Any], game: Game) -> Labelled:
    moves = tuple((int(seat), _move(move)) for seat, move in row["moves"])
    match = play_through(game.start(int(row["seed"])), moves)
    seat = int(row["seat"])
    if seat not in match.to_act:
        raise ValueError(f"seat {seat} is not to move there")
    key = key_of_position(match, seat)
    if key != row["key"]:
        raise ValueError(f"its moves lead to {key!r}, not to {row['key']!r}")
    position = Position(match, seat, key, moves, int(row["seed"]))
    best, optimal = (tuple(map(_move, row[kind])) for kind in ("best", "optimal"))
    if not best or not {*best, *optimal} <= set(match.legal_moves(seat) or ()):
        raise ValueError("its best moves are not among the legal ones")
    return Labelled(position, best, optimal, {})


def _move(value: Any) -> Move:
    id_, text = value
    return Move(int(id_), str(text))
