"""The positions of a game: all that can be reached, or those met in play."""

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tesuji.core.errors import GameError
from tesuji.core.seeds import stream
from tesuji.core.types import Move
from tesuji.games.base import Game, Match
from tesuji.players.base import MoveRequest, Player
from tesuji.players.search.oracle import in_words, named_moves

ALL_LIMIT = 200_000


@dataclass(frozen=True, slots=True)
class Position:
    """A situation in which `seat` is to move. `match` stands in it and is never played on.

    `key` is the same for the same situation, however it came about; `moves` is one way there,
    as (seat, move), from a match started with `seed`.
    """

    match: Match
    seat: int
    key: str
    moves: tuple[tuple[int, Move], ...]
    seed: int = 0

    def request(self, game: Game) -> MoveRequest:
        """What a player is asked in this position."""
        observation, legal = self.match.observe(self.seat), self.match.legal_moves(self.seat)
        return MoveRequest(
            game, self.match, self.seat, observation, legal, stream("position", self.key)
        )


def key_of_position(match: Match, seat: int) -> str:
    """Identifies what matters in a situation: whose move it is and what that seat sees."""
    return f"{seat}|{match.observe(seat)}"


def all_positions(game: Game) -> list[Position]:
    """Every position a match can reach, the shortest way there first; terminal ones left out.

    Raises GameError for games with chance, hidden information or simultaneous moves, and for
    those with more than 200,000 positions.
    """
    info = game.info
    if info.chance or info.information != "perfect" or info.simultaneous:
        raise GameError(
            f"the positions of {game.name} cannot be listed: it has chance, hidden information "
            "or simultaneous moves",
            where="stages.data.positions",
            hint="use `positions: sampled`",
        )
    first = _position(game.start(0), (), 0)
    positions = {} if first is None else {first.key: first}
    layer = list(positions.values())
    while layer:
        following: list[Position] = []
        for child in itertools.chain.from_iterable(map(_children, layer)):
            if child is not None and child.key not in positions:
                positions[child.key] = child
                following.append(child)
                _refuse_too_many(game, len(positions))
        layer = following
    return list(positions.values())


def _refuse_too_many(game: Game, count: int) -> None:
    if count > ALL_LIMIT:
        raise GameError(
            f"{game.name} has more than {ALL_LIMIT:,} positions",
            where="stages.data.positions",
            hint="use `positions: sampled` with `num_positions`",
        )


def sampled_positions(
    game: Game, players: Sequence[Player], count: int, seed: int
) -> list[Position]:
    """At most `count` distinct positions met in matches between `players`.

    Seats are dealt anew each match. Ends early when 200 matches in a row bring nothing new: the
    game has no more to show to these players.
    """
    positions: dict[str, Position] = {}
    barren = 0
    for number in itertools.count():
        if len(positions) >= count or barren >= 200:
            break
        before = len(positions)
        for position in _walk(game, players, stream(seed, "positions", number)):
            positions.setdefault(position.key, position)
        barren = barren + 1 if len(positions) == before else 0
    return list(positions.values())[:count]


def _walk(game: Game, players: Sequence[Player], seed: int) -> Iterator[Position]:
    """The positions of one match, at most 1,000 moves of it."""
    match = game.start(seed)
    dealt = random.Random(seed).choices(players, k=game.num_players)
    moves: tuple[tuple[int, Move], ...] = ()
    while match.to_act and len(moves) < 1000:
        seat = match.to_act[0]
        position = Position(match.clone(), seat, key_of_position(match, seat), moves, seed)
        yield position
        observation, legal = match.observe(seat), match.legal_moves(seat)
        request = MoveRequest(game, match, seat, observation, legal, stream(seed, len(moves)))
        [(reply, move)] = named_moves(dealt[seat], [request])
        if move is None and in_words(reply):
            return  # in words, and no legal move, asked twice: here its match ends
        if move is None:
            raise GameError(
                f"{dealt[seat].name} named no move: {reply.error or 'it said nothing'}",
                where="stages.data.sampled_by",
                hint="use random, mcts, ismcts, minimax or cfr",
            )
        match.play(seat, move)
        moves = (*moves, (seat, move))


def _position(match: Match, moves: tuple[tuple[int, Move], ...], seed: int) -> Position | None:
    if not match.to_act:
        return None
    seat = match.to_act[0]
    return Position(match, seat, key_of_position(match, seat), moves, seed)


def _children(position: Position) -> Iterator[Position | None]:
    for move in position.match.legal_moves(position.seat) or ():
        child = position.match.clone()
        child.play(position.seat, move)
        yield _position(child, (*position.moves, (position.seat, move)), position.seed)
