"""What a server offers: a game, who plays in it, and what whoever asks may choose instead."""

import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tesuji.core.errors import GameError
from tesuji.games.base import Game
from tesuji.games.catalogue import BY_ADDRESS, load_game
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.players.registry import make_player, parse_player, players_of
from tesuji.recipe.schema.sections import ENDPOINT
from tesuji.serve.env.bout import Seating
from tesuji.serve.env.messages import ALL, LARGEST_SEED, ResetArguments

WEAKEST = "random"
MOST_PLAYERS = 64  # kept for later matches; a search player may hold a whole game's table


class Shared(Player):
    """A player at the tables of several sessions: one at a time is answered."""

    def __init__(self, player: Player) -> None:
        self.player, self.name = player, player.name
        self._lock = threading.Lock()

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        """The player's own replies."""
        with self._lock:
            return self.player.choose(requests)


@dataclass
class Offer:
    """A game, and who plays the seats that nobody asks for: `opponent`, as the command line writes
    it; "": the random player, or the weakest that plays this game.

    Whoever asks may name another game, other options and another opponent, as far as that reads no
    file, calls nobody and costs nothing: options that name no files, players that are no endpoint.
    """

    game: Game
    opponent: str = ""
    _players: dict[str, Player] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self) -> None:
        """Raise what a reset without arguments would raise for reasons that will not go away."""
        if self.game.num_players > 1 and self.opponent:
            self._player(self.game, self.opponent)

    def seating(self, asked: ResetArguments) -> Seating:
        """Who sits where in the match that is asked for. Raises GameError and RecipeError for what
        cannot be."""
        game = self._game(asked)
        ours = _seats(game, asked.seat)
        seed = random.randint(0, LARGEST_SEED) if asked.seed is None else asked.seed
        if len(ours) == game.num_players:
            return Seating(game, seed, ours)
        return Seating(game, seed, ours, self._opponent(game, asked.opponent))

    def _game(self, asked: ResetArguments) -> Game:
        own = asked.game in (None, self.game.name)
        if own and not asked.options:
            return self.game
        _read_no_file(asked.options)
        if own:
            return load_game(self.game.name, {**self.game.options, **asked.options})
        name = str(asked.game)
        if name.partition(":")[0] in BY_ADDRESS:
            raise GameError("games that others serve are not offered", where="game")
        return load_game(name, asked.options)

    def _opponent(self, game: Game, asked: str | None) -> Player:
        if asked is None or asked == self.opponent:
            return self._player(game, self.opponent or _weakest(game))
        if parse_player(asked).player.rpartition(":")[2] == ENDPOINT:
            raise GameError(
                "an endpoint costs whoever serves",
                where="opponent",
                hint="start the server with it",
            )
        _read_no_file(parse_player(asked).options)
        return self._player(game, asked)

    def _player(self, game: Game, words: str) -> Player:
        key = f"{game.name} {sorted(game.options.items())} {words}"
        with self._lock:
            player = self._players.pop(key, None)
            player = player or Shared(make_player(parse_player(words), game=game))
            self._players[key] = player  # the last one: the first is the one longest unused
            if len(self._players) > MOST_PLAYERS:
                del self._players[next(iter(self._players))]
            return player


def _weakest(game: Game) -> str:
    known = players_of(game.info)
    if WEAKEST in known:
        return WEAKEST
    if not known:
        raise GameError(
            f"there is no player for the other seats of {game.name}",
            where="opponent",
            hint=f'name one, or play all seats: seat="{ALL}"',
        )
    return known[-1]


def _seats(game: Game, seat: int | str) -> tuple[int, ...]:
    if seat == ALL:
        return tuple(range(game.num_players))
    if not 0 <= int(seat) < game.num_players:
        raise GameError(
            f"{game.name} has no seat {seat}",
            where="seat",
            hint=f'0 to {game.num_players - 1}, or "{ALL}"',
        )
    return (int(seat),)


def _read_no_file(options: Mapping[str, Any]) -> None:
    """Raise GameError where an option could name a file of this machine."""
    for name, value in options.items():
        if isinstance(value, str) and ("/" in value or "\\" in value or Path(value).exists()):
            raise GameError("who asks cannot name files here", where=f"options.{name}")
