"""All games by name: those of the adapters here, and those other packages bring along.

    game = load_game("kuhn_poker", {"players": 3})
    game = load_game("openenv:http://127.0.0.1:8000")  # by address: an environment that is served

Importing this module imports no game library. Another package adds a game with an entry point of
the group `tesuji.games`: its name is the game's, its value a callable `(name, options) -> Game`,
which is given the name that was asked for (`package:name` where the short one is not enough).
Whatever cannot be imported is listed with the reason and harms nobody.
"""

import difflib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import Any

from tesuji.core.errors import GameError, TesujiError
from tesuji.core.plugins import OURS, Plugins, package_of
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
# What names by address begin with → module with info(name), load(name, options); in no list.
BY_ADDRESS = {
    "openenv": "tesuji.games.openenv.family",
    "verifiers": "tesuji.games.openenv.verifiers.game",
}
PLUGINS = Plugins("tesuji.games", "game", GameError)


def list_games() -> list[GameInfo]:
    """Every game known here, by name; `unavailable` says why one cannot be played."""
    listed: list[GameInfo] = []
    for family, module in FAMILIES.items():
        try:
            adapter = importlib.import_module(module)
        except ImportError as error:
            listed.append(_unavailable(f"{family} games", family, _reason(error)))
            continue
        listed += [adapter.info(name) for name in getattr(adapter, "listed", adapter.names)()]
    ours = {info.name for info in listed}
    theirs = PLUGINS.entries()
    taken = ours & {point.name for point in theirs}
    listed = [replace(i, name=f"{OURS}:{i.name}") if i.name in taken else i for i in listed]
    listed += [_third_party_info(point, PLUGINS.name_of(point, ours)) for point in theirs]
    return sorted(listed, key=lambda info: info.name)


def game_info(name: str) -> GameInfo:
    """Facts about one game with its default options. Raises GameError for an unknown name."""
    source, short = _source(name)
    if isinstance(source, EntryPoint):
        return _third_party_info(source, name)
    info: GameInfo = source.info(short)
    return info


def load_game(name: str, options: Mapping[str, Any] | None = None) -> Game:
    """The game with these options.

    Raises GameError for an unknown name (with the nearest ones), for one that several games have
    (with their whole names), for a wrong option (with the known ones), and for a game that is
    unavailable here (with the reason).
    """
    source, short = _source(name)
    if isinstance(source, EntryPoint):
        return _third_party_game(source, name, options or {})
    game: Game = source.load(short, options or {})
    return game


def _source(name: str) -> tuple[Any, str]:
    """What has this game, a module of a family or an entry point, and the name it has there.

    One of ours is called by its short name in all its matches and records. Once it was asked for by
    its whole name, the short one therefore means it, whoever else has a game of that name.
    """
    if (kind := name.partition(":")[0]) in BY_ADDRESS and kind != name:
        return importlib.import_module(BY_ADDRESS[kind]), name
    package, _, short = name.rpartition(":")
    adapter = _adapter_of(short) if package in ("", OURS) else None
    if adapter is not None and (package or short in _settled):
        _settled.add(short)
        return adapter, short
    point = PLUGINS.find(name, (name,) if adapter else (), "game.name")
    if point is None:
        raise _unknown(name)
    return (point, name) if isinstance(point, EntryPoint) else (adapter, name)


_settled: set[str] = set()


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


def _third_party_game(point: EntryPoint, name: str, options: Mapping[str, Any]) -> Game:
    try:
        make: Callable[[str, Mapping[str, Any]], Game] = point.load()
        game = make(name, options)
    except TesujiError:
        raise
    except Exception as error:  # another package's code: any failure is the same to us
        raise GameError(
            f"{name} is unavailable: {_reason(error)}",
            where=f"entry point {point.value}",
            hint="mend or remove the package that brings this game",
        ) from error
    if not isinstance(game, Game):
        raise GameError(
            f"{name} is unavailable: it made {type(game).__name__}, not a Game",
            where=f"entry point {point.value}",
        )
    return game


def _third_party_info(point: EntryPoint, name: str) -> GameInfo:
    try:
        return replace(_third_party_game(point, name, {}).info, name=name)
    except TesujiError as error:
        return _unavailable(name, package_of(point), error.what)
    except Exception as error:  # a broken `info` of another package
        return _unavailable(name, package_of(point), _reason(error))


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
        unavailable=reason,
    )


def _reason(error: BaseException) -> str:
    return str(error).strip() or type(error).__name__


def _unknown(name: str) -> GameError:
    known = [point.name for point in PLUGINS.entries()]
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
