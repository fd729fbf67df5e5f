"""All games by name: those of the adapters here, and those other packages bring along.

    game = load_game("kuhn_poker", {"players": 3})

Importing this module imports no game library. Another package adds a game with an entry point of
the group `tesuji.games`: its name is the game's, its value a callable `(name, options) -> Game`.
Whatever cannot be imported is listed with the reason and harms nobody.
"""

import difflib
import importlib
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from tesuji.core.errors import GameError, TesujiError
from tesuji.games.base import Game, GameInfo

# Family → module with names() -> tuple of names, info(name) -> GameInfo, load(name, options), and
# perhaps listed() -> those of the names that a list shows.
FAMILIES = {
    "bfcl": "tesuji.games.bfcl.game",
    "openspiel": "tesuji.games.openspiel.family",
    "poker": "tesuji.games.poker.game",
    "prompts": "tesuji.games.prompts",
    "wordle": "tesuji.games.wordle.game",
    "reasoning_gym": "tesuji.games.reasoning.game",
    "textarena": "tesuji.games.textarena.family",
}
ENTRY_POINTS = "tesuji.games"


def list_games() -> list[GameInfo]:
    """Every game known here, by name; `unavailable` says why one cannot be played."""
    found: list[GameInfo] = []
    for family, module in FAMILIES.items():
        try:
            adapter = importlib.import_module(module)
        except ImportError as error:
            found.append(_unavailable(f"{family} games", family, _reason(error)))
            continue
        found += [adapter.info(name) for name in getattr(adapter, "listed", adapter.names)()]
    taken = {info.name for info in found}
    found += [_third_party_info(point, taken) for point in _third_parties()]
    return sorted(found, key=lambda info: info.name)


def game_info(name: str) -> GameInfo:
    """Facts about one game with its default options. Raises GameError for an unknown name."""
    adapter = _adapter_of(name)
    if adapter is not None:
        info: GameInfo = adapter.info(name)
        return info
    return _third_party_info(_third_party(name), set())


def load_game(name: str, options: Mapping[str, Any] | None = None) -> Game:
    """The game with these options.

    Raises GameError for an unknown name (with the nearest ones), for a wrong option (with the
    known ones), and for a game that is unavailable here (with the reason).
    """
    adapter = _adapter_of(name)
    if adapter is not None:
        game: Game = adapter.load(name, options or {})
        return game
    return _third_party_game(_third_party(name), options or {})


def _adapter_of(name: str) -> Any:
    """The module of the family that has this game, or None."""
    for module in FAMILIES.values():
        try:
            adapter = importlib.import_module(module)
        except ImportError:
            continue
        if name in adapter.names():
            return adapter
    return None


def _third_parties() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=ENTRY_POINTS))


def _third_party(name: str) -> EntryPoint:
    for point in _third_parties():
        if point.name == name:
            return point
    raise _unknown(name)


def _third_party_game(point: EntryPoint, options: Mapping[str, Any]) -> Game:
    try:
        make: Callable[[str, Mapping[str, Any]], Game] = point.load()
        game = make(point.name, options)
    except TesujiError:
        raise
    except Exception as error:  # another package's code: any failure is the same to us
        raise GameError(
            f"{point.name} is unavailable: {_reason(error)}",
            where=f"entry point {point.value}",
            hint="mend or remove the package that brings this game",
        ) from error
    if not isinstance(game, Game):
        raise GameError(
            f"{point.name} is unavailable: it made {type(game).__name__}, not a Game",
            where=f"entry point {point.value}",
        )
    return game


def _third_party_info(point: EntryPoint, taken: set[str]) -> GameInfo:
    family = point.dist.name if point.dist else "entry point"
    if point.name in taken:
        return _unavailable(point.name, family, "another game here has this name")
    try:
        return _third_party_game(point, {}).info
    except TesujiError as error:
        return _unavailable(point.name, family, error.what)
    except Exception as error:  # a broken `info` of another package
        return _unavailable(point.name, family, _reason(error))


def _unavailable(name: str, family: str, reason: str) -> GameInfo:
    return GameInfo(
        name=name,
        title=name,
        family=family,
        seats=(0, 0),
        information="perfect",
        chance=False,
        simultaneous=False,
        zero_sum=False,
        players=(),
        unavailable=reason,
    )


def _reason(error: BaseException) -> str:
    return str(error).strip() or type(error).__name__


def _unknown(name: str) -> GameError:
    known = [point.name for point in _third_parties()]
    closed = []
    for family, module in FAMILIES.items():
        try:
            known += importlib.import_module(module).names()
        except ImportError as error:
            closed.append(f"games of {family} are unavailable: {_reason(error)}")
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    nearest = [f"did you mean {', '.join(close)}?"] if close else ["see `tesuji games`"]
    hint = "; ".join([*nearest, *closed])
    return GameError(f"unknown game {name!r}", where="game.name", hint=hint)
