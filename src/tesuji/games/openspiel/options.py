"""Options of OpenSpiel games: checked here, because OpenSpiel answers some of them with a crash.

An option is refused when it is unknown, of the wrong type, or outside what the game can take.
What remains is left to OpenSpiel, whose refusal becomes a GameError as well. OpenSpiel 2.0.2 can
still run out of memory or crash on absurd sizes that it does not check itself.
"""

import contextlib
import difflib
import os
import random
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pyspiel

from tesuji.core.errors import GameError
from tesuji.core.files import read_beside
from tesuji.games.options import no_option

Options = Mapping[str, Any]

TABLES = read_beside(__file__, "games.yaml")
_SEATS = ("players", "num_players", "numPlayers")
_LOAD_ERRORS = (pyspiel.SpielError, ValueError, IndexError, RuntimeError, MemoryError)


@cache
def registered() -> dict[str, Any]:
    """The pyspiel.GameType of every game that OpenSpiel has registered, by name."""
    return {kind.short_name: kind for kind in pyspiel.registered_games()}


def specification(name: str) -> dict[str, Any]:
    """Options the game takes, with OpenSpiel's own defaults (a nested game is a dict)."""
    return dict(registered()[name].parameter_specification)


def missing(name: str, options: Options) -> str:
    """Why the game cannot be loaded with these options; empty: it can."""
    if name in TABLES["unavailable"]:
        return str(TABLES["unavailable"][name])
    if name in TABLES["needs_file"] and not options.get("filename"):
        return f"needs {TABLES['needs_file'][name]}: set the option `filename`"
    return ""


def parameters(name: str, options: Options) -> dict[str, Any]:
    """Our defaults and these options, in the types OpenSpiel asks for.

    Raises GameError that names the option and, where it is unknown, the known ones.
    """
    known = specification(name)
    given = {**TABLES["defaults"].get(name, {}), **options}
    checked = {key: _coerce(name, known, key, value) for key, value in given.items()}
    _check_poker(name, {**known, **checked})
    return checked


def load_spiel(name: str, options: Options, seed: int | None = None) -> Any:
    """The pyspiel.Game; `seed` feeds the generator inside games that draw without chance nodes.

    Raises GameError when the options are wrong or the game is unavailable.
    """
    reason = missing(name, options)
    if reason:
        raise GameError(f"{name} is unavailable: {reason}", where="game.name")
    given = parameters(name, options)
    if seed is not None:
        given = _seeded(name, given, random.Random(seed).randrange(2**31))
    try:
        with _quiet():
            spiel = pyspiel.load_game(name, given)
            if options:
                spiel.new_initial_state()
    except _LOAD_ERRORS as error:
        raise _refused(name, error) from error
    return spiel


def wraps_a_game(name: str) -> bool:
    """Whether the game is made from another one: `misere`, `repeated_game`, ..."""
    return any(isinstance(default, dict) for default in specification(name).values())


def inner_game(name: str, options: Options) -> str:
    """The game that a transformation such as `misere` wraps, or the game itself."""
    nested = parameters(name, options).get("game")
    return str(nested["name"]) if isinstance(nested, dict) else name


def _seeded(name: str, given: dict[str, Any], seed: int) -> dict[str, Any]:
    """The same parameters with `rng_seed` set wherever the game, or the game inside, has one."""
    known = specification(name)
    seeded = {
        key: {**_seeded(value["name"], _unnamed(value), seed), "name": value["name"]}
        if isinstance(value, dict)
        else value
        for key, value in given.items()
    }
    return {**seeded, "rng_seed": seed} if "rng_seed" in known else seeded


def _unnamed(nested: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in nested.items() if key != "name"}


def _coerce(name: str, known: dict[str, Any], key: str, value: Any) -> Any:
    if key not in known:
        raise no_option(name, key, sorted(known))
    default = known[key]
    if isinstance(default, dict):
        return _nested(name, key, value)
    if key == "filename" and not Path(str(value)).is_file():
        raise GameError(f"no such file: {value}", where=f"game.options.{key}")
    wanted = type(default)
    converted = _converted(wanted, value)
    if converted is None:
        raise GameError(
            f"{name}: {key} must be {_TYPE_WORDS[wanted]}, not {value!r}",
            where=f"game.options.{key}",
            hint=f"OpenSpiel's default is {default!r}",
        )
    if wanted is int:
        _check_range(name, key, converted, default)
    return converted


_TYPE_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def _converted(wanted: type, value: Any) -> Any:
    """`value` as `wanted`, or None where that would change what was meant."""
    if wanted is bool or isinstance(value, bool):
        return value if isinstance(value, bool) and wanted is bool else None
    if wanted is str:
        return str(value) if isinstance(value, str | int | float) else None
    if not isinstance(value, int | float) or (wanted is int and value != int(value)):
        return None
    return wanted(value)


def _nested(name: str, key: str, value: Any) -> dict[str, Any]:
    """The parameters of a game inside a game, written `kuhn_poker(players=3)`."""
    try:
        with _quiet():
            nested = pyspiel.game_parameters_from_string(str(value))
    except pyspiel.SpielError as error:
        raise GameError(
            f"{name}: {key} is not a game: {error}", where=f"game.options.{key}"
        ) from error
    inner = nested.get("name", "")
    if inner not in registered():
        close = difflib.get_close_matches(inner, registered(), n=3)
        raise GameError(
            f"{name}: OpenSpiel has no game {inner!r}",
            where=f"game.options.{key}",
            hint=f"did you mean {', '.join(close)}?" if close else "see `tesuji games`",
        )
    return {"name": inner, **parameters(inner, _unnamed(nested))}


def _check_range(name: str, key: str, value: int, default: int) -> None:
    kind = registered()[name]
    if key in _SEATS:
        low, high = max(1, kind.min_num_players), kind.max_num_players
        if name.startswith("mfg_"):
            return
    elif key in TABLES["limits"].get(name, {}):
        low, high = TABLES["limits"][name][key]
    else:
        low = 1 if default > 0 and "seed" not in key else -(2**31)
        high = 2**31 - 1
    if not low <= value <= high:
        bounds = f"from {low} to {high}" if high < 2**31 - 1 else f"at least {low}"
        raise GameError(f"{name}: {key} must be {bounds}", where=f"game.options.{key}")


def _check_poker(name: str, given: dict[str, Any]) -> None:
    """One stack and blind a seat, one count of board cards a round: else OpenSpiel crashes."""
    if name != "universal_poker":
        return
    wanted = {
        "stack": given["numPlayers"],
        "blind": given["numPlayers"],
        "firstPlayer": given["numRounds"],
        "numBoardCards": given["numRounds"],
    }
    for key, count in wanted.items():
        if len(str(given[key]).split()) < count:
            raise GameError(
                f"{name}: {key} needs {count} numbers, not {given[key]!r}",
                where=f"game.options.{key}",
                hint="stack and blind: one a seat; firstPlayer and numBoardCards: one a round",
            )


def _refused(name: str, error: Exception) -> GameError:
    first, *rest = str(error).strip().splitlines() or [type(error).__name__]
    reason = rest[0] if rest and ".cc:" in first else first
    known = ", ".join(sorted(specification(name))) or "none"
    return GameError(
        f"OpenSpiel refuses these options of {name}: {reason}",
        where="game.options",
        hint=f"its options: {known}",
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """OpenSpiel prints every error and warning to stderr besides; we say it once, ourselves."""
    kept = os.dup(2)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, kept)
        stack.callback(os.dup2, kept, 2)
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 (a device, not a path of ours)
            os.dup2(nowhere.fileno(), 2)
        yield
