"""OpenSpiel's side of the catalogue: which games it has, facts about them, and loading one."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from tesuji.core.errors import GameError
from tesuji.games.base import GameInfo
from tesuji.games.openspiel.facts import describe_unloaded
from tesuji.games.openspiel.game import OpenSpielGame
from tesuji.games.openspiel.options import missing, registered, wraps_a_game

_LOADED: dict[str, OpenSpielGame] = {}


def names() -> tuple[str, ...]:
    """Every game OpenSpiel has registered, playable here or not."""
    return tuple(sorted(registered()))


@cache
def info(name: str) -> GameInfo:
    """Facts about a game with its default options; `seats` are the fewest and the most."""
    reason = missing(name, {})
    if reason:
        return describe_unloaded(name, reason)
    try:
        facts = load(name, {}).info
    except GameError as error:
        return describe_unloaded(name, error.what)
    if wraps_a_game(name):
        return facts  # the seats are those of the game inside
    kind = registered()[name]
    return replace(facts, seats=(kind.min_num_players, kind.max_num_players))


def load(name: str, options: Mapping[str, Any]) -> OpenSpielGame:
    """The game with these options, loaded once. Raises GameError for impossible ones."""
    key = f"{name} {sorted(options.items())!r}"
    if key not in _LOADED:
        game = OpenSpielGame(name, dict(options))
        _ = game.spiel  # so that impossible options are refused here
        _LOADED[key] = game
    return _LOADED[key]
