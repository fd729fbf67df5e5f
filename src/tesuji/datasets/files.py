"""The files of a data stage: rows for training, and the positions they came from.

A row is `{"prompt": [messages], "completion": "...", "position": key, "weight": 1/k}`: the
prompt-completion shape TRL knows; a pair is `{"prompt": [messages], "chosen": "...", "rejected":
"..."}`. Files of other people's with `prompt` as plain text are read too. `about` holds what is
known about where a row comes from (`about.py`).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tesuji.core.errors import DataError, GameError
from tesuji.core.files import read_jsonl
from tesuji.core.types import Example, Message, Move, Pair
from tesuji.datasets.from_positions.label import Labelled
from tesuji.datasets.from_positions.positions import Position, key_of_position
from tesuji.games.base import Game, play_through

HEAVIEST = 1e6  # weight of a row that is still believed


def example_row(example: Example) -> dict[str, Any]:
    """An example as one JSON line."""
    row = {
        "prompt": list(example.prompt),
        "completion": example.reply,
        "position": example.position,
        "weight": round(example.weight, 6),
    }
    return {**row, "about": dict(example.about)} if example.about else row


def pair_row(pair: Pair) -> dict[str, Any]:
    """A pair as one JSON line."""
    row = {
        "prompt": list(pair.prompt),
        "chosen": pair.chosen,
        "rejected": pair.rejected,
        "position": pair.position,
    }
    return {**row, "about": dict(pair.about)} if pair.about else row


def read_rows(path: Path) -> Iterator[Example]:
    """Examples of a JSONL file. Raises DataError naming file and line of the first wrong row."""
    for number, row in read_jsonl(path):
        where = f"{path}:{number}"
        row = _object(row, where)
        reply = _reply(row, "response" if "response" in row else "completion", where)
        prompt = _messages(row.get("prompt"), where)
        weight = _weight(row.get("weight", 1.0), where)
        yield Example(prompt, reply, str(row.get("position", "")), weight, _about(row))


def read_pairs(path: Path) -> Iterator[Pair]:
    """Pairs of a JSONL file. Raises DataError naming file and line of the first wrong row."""
    for number, row in read_jsonl(path):
        where = f"{path}:{number}"
        row = _object(row, where)
        chosen, rejected = (_reply(row, side, where) for side in ("chosen", "rejected"))
        prompt = _messages(row.get("prompt"), where)
        yield Pair(prompt, chosen, rejected, str(row.get("position", "")), _about(row))


def _reply(row: Mapping[str, Any], name: str, where: str) -> str:
    reply = row.get(name)
    if not isinstance(reply, str) or not reply:
        raise DataError(f"`{name}` must be a text that is not empty", where=where)
    return reply


def _object(row: Any, where: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise DataError("a row must be a JSON object", where=where)
    return row


def _about(row: Mapping[str, Any]) -> dict[str, Any]:
    about = row.get("about")
    return about if isinstance(about, dict) else {}


def _weight(value: Any, where: str) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value <= HEAVIEST:
        raise DataError("`weight` must be a number above 0, at most a million", where=where)
    return float(value)


def _messages(value: Any, where: str) -> tuple[Message, ...]:
    if isinstance(value, str) and value:
        return (Message(role="user", content=value),)
    fits = isinstance(value, list) and value and all(_is_message(item) for item in value)
    if not fits:
        raise DataError(
            "`prompt` must be a text, or a list of messages",
            where=where,
            hint='a message is {"role": "user", "content": "..."}',
        )
    return tuple(Message(role=item["role"], content=item["content"]) for item in value)


def _is_message(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and isinstance(item.get("role"), str)
        and isinstance(item.get("content"), str)
    )


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
