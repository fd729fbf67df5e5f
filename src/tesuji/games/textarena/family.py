"""TextArena's side of the catalogue: which environments it has, facts about them, loading one."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from tesuji.core.errors import GameError
from tesuji.games.base import GameInfo
from tesuji.games.textarena.facts import check_options, describe
from tesuji.games.textarena.game import TextArenaGame
from tesuji.games.textarena.names import every_name, facts, known, reason

_LOADED: dict[str, TextArenaGame] = {}


def names() -> tuple[str, ...]:
    """Every name that can be loaded, playable here or not."""
    return every_name()


def listed() -> tuple[str, ...]:
    """Those a list shows: the further views (`-train`, `-raw`) are left out."""
    return tuple(known())


@cache
def info(name: str) -> GameInfo:
    """Facts about an environment, without importing the library."""
    return describe(name, reason(facts(name).needs))


def load(name: str, options: Mapping[str, Any]) -> TextArenaGame:
    """The environment with these options, loaded once. Raises GameError for impossible ones, and
    for an environment that is unavailable here."""
    key = f"{name} {sorted(options.items())!r}"
    if key not in _LOADED:
        why = reason(facts(name).needs)
        if why:
            raise GameError(f"{name} is unavailable: {why}", where="game.name")
        game = TextArenaGame(name, dict(options))
        check_options(name, options, game.library.options)
        _LOADED[key] = game
    return _LOADED[key]
