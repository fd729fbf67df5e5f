"""Players by name: the names, who can play what, and options checked before anything runs.

Another package adds a player through the entry-point group `tesuji.players`: a name and a
callable that takes the recipe's options (and the game, where it has a parameter `game`) and returns
a `Player`. Its attribute `plays(info: GameInfo)` says what it can play: True, or False, or a text
that says why not. Without it the player is let try any game, and listed with none. Its attribute
`options`, a `Section`, checks the options, where their defaults say too little.
"""

import importlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint
from typing import Any, NamedTuple

from pydantic import ValidationError

from tesuji.core.errors import GameError, RecipeError, did_you_mean
from tesuji.core.plugins import OURS, Plugins, blaming, package_of
from tesuji.games.base import Game, GameInfo
from tesuji.games.textarena.secretmafia import is_secretmafia
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.recipe.reading.problems import first_problem
from tesuji.recipe.reading.yaml_lines import parse_yaml
from tesuji.recipe.schema.sections import ENDPOINT, PlayerSection, Section

Factory = Callable[..., Player]
PLUGINS = Plugins("tesuji.players", "player", RecipeError)

_LARGEST = 2**31 - 1  # what a C++ int holds


class BuiltIn(NamedTuple):
    """One of ours: where it stands, and which games it can play. That is said here and not by the
    player itself, so that to ask no game library is imported."""

    module: str
    attribute: str
    plays: Callable[[GameInfo], bool]


def _listed(info: GameInfo) -> bool:
    return "text" not in info.traits


def _poker(info: GameInfo) -> bool:
    return info.family == "poker"


def _trait(trait: str) -> Callable[[GameInfo], bool]:
    return lambda info: trait in info.traits


def _openspiel(trait: str) -> Callable[[GameInfo], bool]:
    return lambda info: info.family == "openspiel" and trait in info.traits


def _secretmafia(info: GameInfo) -> bool:
    return is_secretmafia(info.name)


_MAFIA = "tesuji.players.mafia.players"
_POKER = "tesuji.players.poker.players"
_SEARCH = "tesuji.players.search"
BUILT_IN: Mapping[str, BuiltIn] = {  # the strongest first
    "cfr": BuiltIn(f"{_SEARCH}.cfr", "CFRPlayer", _openspiel("solvable")),
    "mcts": BuiltIn(f"{_SEARCH}.mcts", "MCTSPlayer", _openspiel("searchable")),
    "minimax": BuiltIn(f"{_SEARCH}.minimax", "MinimaxPlayer", _openspiel("two_sided")),
    "ismcts": BuiltIn(f"{_SEARCH}.mcts", "ISMCTSPlayer", _openspiel("resampled")),
    "equity": BuiltIn(_POKER, "EquityPlayer", _poker),
    "tight_aggressive": BuiltIn(
        _POKER, "TightAggressivePlayer", lambda info: _poker(info) and info.name == "holdem"
    ),
    "always_call": BuiltIn(_POKER, "AlwaysCallPlayer", _poker),
    "entropy": BuiltIn(
        f"{_SEARCH}.wordle_entropy", "EntropyPlayer", lambda info: info.family == "wordle"
    ),
    "mafia-careful": BuiltIn(_MAFIA, "MafiaCareful", _secretmafia),
    "mafia-bandwagon": BuiltIn(_MAFIA, "MafiaBandwagon", _secretmafia),
    "mafia-follower": BuiltIn(_MAFIA, "MafiaFollower", _secretmafia),
    "mafia-random": BuiltIn(_MAFIA, "MafiaRandom", _secretmafia),
    "answer_key": BuiltIn(
        "tesuji.players.basic.answer_key", "AnswerKeyPlayer", _trait("answer_key")
    ),
    "random": BuiltIn(
        "tesuji.players.basic.random",
        "RandomPlayer",
        lambda info: _listed(info) or "random_replies" in info.traits,
    ),
    "scripted": BuiltIn("tesuji.players.basic.scripted", "ScriptedPlayer", _listed),
    ENDPOINT: BuiltIn("tesuji.players.endpoint.player", "EndpointPlayer", lambda info: True),
}


def make_player(section: PlayerSection, *, game: Game) -> Player:
    """The player a recipe names, with its options, for `game`.

    Raises RecipeError for an unknown name or option, GameError when it cannot play this game.
    """
    source = find_player(section.player)
    factory = _factory(source)
    options = _checked(section, factory)
    answer = _answer(source, game.info)
    if answer is not True:
        raise GameError(
            f"{section.player} cannot play {game.name}" + (f": {answer}" if answer else ""),
            where=f"player: {section.player}",
            hint=f"for this game there are: {', '.join(players_of(game.info))}",
        )
    if "game" in inspect.signature(factory).parameters:
        options = {"game": game, **options}
    if isinstance(source, str):
        return _labelled(factory(**options), section)
    return _labelled(_theirs(source, factory, options), section)


def check_options(section: PlayerSection) -> None:
    """Raise RecipeError for an unknown name or option, whatever the game."""
    _checked(section, _factory(find_player(section.player)))


def _theirs(source: EntryPoint, factory: Factory, options: Mapping[str, Any]) -> Player:
    """Another package's player, which is named as the one at fault where it fails."""
    what, where = f"the player {source.name!r} of {source.value}", f"player: {source.name}"
    with blaming(what, where):
        player: Any = factory(**options)
    if not isinstance(player, Player):
        hint = "it must inherit from tesuji.players.base.Player"
        raise RecipeError(f"{what} is no player, but {type(player)}", where=where, hint=hint)
    choose = player.choose

    def blamed(requests: Sequence[MoveRequest]) -> list[Reply]:
        with blaming(what, where):
            return choose(requests)

    vars(player)["choose"] = blamed
    return player


def players_of(info: GameInfo) -> tuple[str, ...]:
    """Who says that it can play this game: ours, the strongest first, then other packages'. An
    endpoint is not listed: what stands behind it is for others to say."""
    if info.unavailable:
        return ()
    ours = [name for name in BUILT_IN if name != ENDPOINT and can_play(name, info)]
    if "enumerable" in info.traits:
        ours.sort(key="minimax".__ne__)
    theirs = [point for point in PLUGINS.entries() if _declares(point, info)]
    return (*ours, *(PLUGINS.name_of(point, BUILT_IN) for point in theirs))


def can_play(name: str, info: GameInfo) -> bool:
    """Whether one of our players can play this game."""
    return BUILT_IN[name].plays(info)


def _answer(source: str | EntryPoint, info: GameInfo) -> bool | str:
    """True, or False, or why the player cannot play this game. One of another package that does not
    say is let try. Raises RecipeError where its package fails."""
    if isinstance(source, str):
        return can_play(source, info)
    plays = getattr(PLUGINS.load(source, "player"), "plays", None)
    try:
        return True if plays is None else plays(info)
    except Exception as error:  # somebody else's package: whatever it raises is their fault
        raise RecipeError(
            f"the player {source.name!r} of {source.value} does not say whether it plays "
            f"{info.name}: {error}",
            where="player",
        ) from error


def _declares(point: EntryPoint, info: GameInfo) -> bool:
    """Whether another package's player says that it can play this game; one that fails does not."""
    try:
        return hasattr(point.load(), "plays") and _answer(point, info) is True
    except Exception:  # its own error comes when somebody asks for the player
        return False


def parse_player(text: str) -> PlayerSection:
    """A player as the command line writes it: `mcts`, `mcts:simulations=100,uct_c=1.4`.

    Values are YAML, as in a recipe; a list stands in brackets. Raises RecipeError when an option
    is not `key=value`, or is set twice.
    """
    name, rest = _name_and_options(text)
    options: dict[str, Any] = {}
    for part in filter(None, _OUTSIDE_BRACKETS.split(rest)):
        key, equals, value = part.partition("=")
        key = key.strip()
        if not equals or key in ("", "player"):
            raise RecipeError(
                f"cannot read {part!r}", where=text, hint="write name:key=value,key=value"
            )
        if key in options:
            raise RecipeError(f"{key} is set twice", where=text)
        options[key] = parse_yaml(value, f"the option {key}")[0]
    return PlayerSection.model_validate({"player": name.strip(), **options})


def _name_and_options(text: str) -> tuple[str, str]:
    """A name may be a whole one, `package:name`; then options stand behind a second colon."""
    name, _, rest = text.partition(":")
    if name.strip() in {OURS, *map(package_of, PLUGINS.entries())}:
        short, _, rest = rest.partition(":")
        name = f"{name}:{short}"
    return name, rest


_OUTSIDE_BRACKETS = re.compile(r",(?![^\[]*\])")


def find_player(name: str, where: str = "player") -> str | EntryPoint:
    """Ours by its short name, or another package's. Raises RecipeError for a name that nobody has,
    or several."""
    return PLUGINS.get(name, BUILT_IN, where)


def _factory(source: str | EntryPoint) -> Factory:
    factory: Factory
    if isinstance(source, str):
        ours = BUILT_IN[source]
        factory = getattr(importlib.import_module(ours.module), ours.attribute)
    else:
        factory = PLUGINS.load(source, "player")
    return factory


def _checked(section: PlayerSection, factory: Factory) -> dict[str, Any]:
    """The options, once each is known to the factory and of a fitting kind. A factory may have them
    as a section of a recipe (`options`), which checks them itself."""
    options = getattr(factory, "options", None)
    if isinstance(options, type) and issubclass(options, Section):
        return _checked_by(options, section)
    parameters = inspect.signature(factory).parameters
    known = [name for name in parameters if name != "game"]
    for key, value in section.options.items():
        if key not in known:
            listed = ", ".join(known) or "none"
            raise RecipeError(
                f"{section.player} has no option {key!r}",
                where=f"player: {section.player}",
                hint=f"{did_you_mean(key, known)}its options: {listed}",
            )
        _check_number(section.player, key, value, parameters[key].default)
    return section.options


def _checked_by(options: type[Section], section: PlayerSection) -> dict[str, Any]:
    """The options as they were given, once they are a valid section."""
    try:
        options.model_validate(section.options)
    except ValidationError as error:
        key, what, hint = first_problem(error)
        field, where = options.model_fields.get(key), f"player: {section.player}"
        if key and field is None:
            known = list(options.model_fields)
            what = f"{section.player} has no option {key!r}"
            hint = f"{did_you_mean(key, known)}its options: {', '.join(known)}"
            raise RecipeError(what, where=where, hint=hint) from None
        told = f"{key}: {' '.join((field.description or '').split())}" if field else ""
        what = f"{key}: {what}" if key else what
        raise RecipeError(what, where=where, hint=hint or told) from None
    return section.options


def _check_number(player: str, key: str, value: Any, default: Any) -> None:
    """Numbers where numbers are due, positive and finite: no player has a use for others."""
    numeric = isinstance(default, int | float) or key == "depth"
    whole = not isinstance(default, float)
    kind = int if whole else int | float
    fits = isinstance(value, kind) and not isinstance(value, bool) and 0 < value <= _LARGEST
    if numeric and not fits:
        wanted = f"a {'whole ' if whole else ''}number above 0, at most {_LARGEST:,}"
        raise RecipeError(
            f"{key} must be {wanted}, not {value!r}", where=f"player: {player}", hint=f"{key}=100"
        )


def _labelled(player: Player, section: PlayerSection) -> Player:
    """Name the player after its section, so that two configurations can be told apart."""
    player.name = section.label
    return player
