"""One opponent at the tables of several games."""

from collections.abc import Iterable, Sequence

from tesuji.games.base import Game
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.players.registry import make_player
from tesuji.recipe.schema.sections import PlayerSection


class ByGame(Player):
    """Makes the player of a section anew for each game and options, and asks the right one.

    `games` are made ready at once, so that a player which cannot play one of them is found before
    anything runs; others when first met. Raises RecipeError and GameError as `make_player` does.
    """

    def __init__(self, section: PlayerSection, *, games: Iterable[Game] = ()) -> None:
        self.section = section
        self.name = section.label
        self._players: dict[str, Player] = {}
        for game in games:
            self._player(game)

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        """One batch a game, replies in the order of the requests."""
        places: dict[str, list[int]] = {}
        for place, request in enumerate(requests):
            places.setdefault(_key(request.game), []).append(place)
        replies: dict[int, Reply] = {}
        for mine in places.values():
            batch = [requests[place] for place in mine]
            batch_replies = self._player(batch[0].game).choose(batch)
            replies |= dict(zip(mine, batch_replies, strict=True))
        return [replies[place] for place in range(len(requests))]

    def _player(self, game: Game) -> Player:
        key = _key(game)
        if key not in self._players:
            self._players[key] = make_player(self.section, game=game)
        return self._players[key]


def _key(game: Game) -> str:
    return f"{game.name} {sorted(game.options.items())}"
