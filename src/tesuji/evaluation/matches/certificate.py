"""The certificate: one player's whole game tree against every reply an opponent can make.

Where the policy under test is greedy, this is a proof, not a sample: "never loses: N lines
checked". It needs a deterministic perfect-information game small enough to be walked; the same
position is asked about once, however many lines reach it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tesuji.core.errors import GameError
from tesuji.core.types import Move
from tesuji.evaluation.matches.position_moves import moves_chosen
from tesuji.evaluation.results import Certificate
from tesuji.games.base import Game, Match
from tesuji.players.base import Player

LINE_LIMIT = 2_000_000


@dataclass(slots=True)
class _Line:
    """A way through the tree: where it stands and how it came there."""

    match: Match
    moves: tuple[str, ...] = ()


@dataclass(slots=True)
class _Count:
    """What the lines that ended came to."""

    wins: int = 0
    draws: int = 0
    losses: int = 0
    illegal: int = 0
    losing_line: tuple[str, ...] = ()
    answers: dict[str, Move | None] = field(default_factory=dict)


def certify(
    game: Game,
    player: Player,
    *,
    answer: Literal["id", "move"] = "move",
) -> tuple[Certificate, ...]:
    """One certificate a seat, seat 0 first.

    Raises GameError when the game has chance, hidden information or more than two seats, or
    when its tree has more than two million lines.
    """
    info = game.info
    if game.num_players != 2 or info.chance or info.information != "perfect" or info.simultaneous:
        raise GameError(
            f"no certificate for {game.name}: it needs two seats, turns, no chance, nothing hidden",
            where="evaluation.certificate",
            hint="set `certificate: false`",
        )
    return tuple(_certify_seat(game, player, seat, answer) for seat in range(2))


def _certify_seat(
    game: Game,
    player: Player,
    seat: int,
    answer: Literal["id", "move"],
) -> Certificate:
    count = _Count()
    start = game.start(seed=0)
    role = start.role(seat)
    open_lines = [_Line(start)]
    while open_lines:
        _answer_all(game, player, seat, open_lines, answer, count.answers)
        following: list[_Line] = []
        for line in open_lines:
            following += _step(line, seat, count)
        if len(following) > LINE_LIMIT:
            raise GameError(
                f"no certificate for {game.name}: more than {LINE_LIMIT:,} lines",
                where="evaluation.certificate",
                hint="set `certificate: false`",
            )
        open_lines = following
    return Certificate(
        seat=seat,
        role=role,
        lines=count.wins + count.draws + count.losses,
        wins=count.wins,
        draws=count.draws,
        losses=count.losses,
        illegal=count.illegal,
        positions=len(count.answers),
        losing_line=count.losing_line,
    )


def _answer_all(
    game: Game,
    player: Player,
    seat: int,
    lines: Sequence[_Line],
    answer: Literal["id", "move"],
    answers: dict[str, Move | None],
) -> None:
    """Ask the player, in one batch, about every position of this depth not yet answered."""
    ours = {_key(line.match, seat): line.match for line in lines if seat in line.match.to_act}
    fresh = {key: match for key, match in ours.items() if key not in answers}
    moves = moves_chosen(game, player, [(match, seat) for match in fresh.values()], answer)
    answers.update(zip(fresh, moves, strict=True))


def _key(match: Match, seat: int) -> str:
    """What the player sees: the same view must get the same answer."""
    return match.observe(seat)


def _step(line: _Line, seat: int, count: _Count) -> list[_Line]:
    """The lines that follow this one; none when it has ended, which is counted."""
    match = line.match
    if not match.to_act:
        _count_end(line, match.returns()[seat], match.returns()[1 - seat], count)
        return []
    mover = match.to_act[0]
    if mover != seat:
        return [_played(line, mover, move) for move in match.legal_moves(mover) or ()]
    move = count.answers[_key(match, seat)]
    if move is None:
        count.illegal += 1
        _count_end(_Line(match, (*line.moves, "(no legal move)")), -1.0, 1.0, count)
        return []
    return [_played(line, seat, move)]


def _played(line: _Line, seat: int, move: Move) -> _Line:
    match = line.match.clone()
    match.play(seat, move)
    return _Line(match, (*line.moves, move.text))


def _count_end(line: _Line, ours: float, theirs: float, count: _Count) -> None:
    if ours > theirs:
        count.wins += 1
    elif ours == theirs:
        count.draws += 1
    else:
        count.losses += 1
        if not count.losing_line or len(line.moves) < len(count.losing_line):
            count.losing_line = line.moves
