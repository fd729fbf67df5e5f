"""Players by name: the names, who can play what, and options checked before anything runs.

Another package adds a player through the entry-point group `tesuji.players`: a name and a
callable that takes the game and the recipe's options and returns a `Player`.
"""

import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from typing import Any

from tesuji.core.errors import GameError, RecipeError, did_you_mean
from tesuji.core.plugins import OURS, Plugins, package_of
from tesuji.games.base import Game
from tesuji.players.base import Player
from tesuji.recipe.reading.yaml_lines import parse_yaml
from tesuji.recipe.schema.sections import PlayerSection

Factory = Callable[..., Player]
PLUGINS = Plugins("tesuji.players", "player", RecipeError)

_LARGEST = 2**31 - 1  # what a C++ int holds

BUILT_IN: Mapping[str, tuple[str, str]] = {
    "random": ("tesuji.players.basic.random", "RandomPlayer"),
    "minimax": ("tesuji.players.search.minimax", "MinimaxPlayer"),
    "mcts": ("tesuji.players.search.mcts", "MCTSPlayer"),
    "ismcts": ("tesuji.players.search.mcts", "ISMCTSPlayer"),
    "cfr": ("tesuji.players.search.cfr", "CFRPlayer"),
    "scripted": ("tesuji.players.basic.scripted", "ScriptedPlayer"),
    "always_call": ("tesuji.players.poker.players", "AlwaysCallPlayer"),
    "tight_aggressive": ("tesuji.players.poker.players", "TightAggressivePlayer"),
    "equity": ("tesuji.players.poker.players", "EquityPlayer"),
    "entropy": ("tesuji.players.search.wordle_entropy", "EntropyPlayer"),
    "answer_key": ("tesuji.players.basic.answer_key", "AnswerKeyPlayer"),
    "mafia-random": ("tesuji.players.mafia.players", "MafiaRandom"),
    "mafia-follower": ("tesuji.players.mafia.players", "MafiaFollower"),
    "mafia-bandwagon": ("tesuji.players.mafia.players", "MafiaBandwagon"),
    "mafia-careful": ("tesuji.players.mafia.players", "MafiaCareful"),
}


def make_player(section: PlayerSection, *, game: Game) -> Player:
    """The player a recipe names, with its options, for `game`.

    Raises RecipeError for an unknown name or option, GameError when it cannot play this game.
    """
    source = find_player(section.player)
    factory = _factory(source)
    options = _checked(section, factory)
    if isinstance(source, str) and source not in game.info.players:
        known = ", ".join(name for name in game.info.players if name in BUILT_IN)
        raise GameError(
            f"{section.player} cannot play {game.name}",
            where=f"player: {section.player}",
            hint=f"for this game there are: {known}",
        )
    if "game" in inspect.signature(factory).parameters:
        options = {"game": game, **options}
    return _labelled(factory(**options), section)


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


def player_names() -> tuple[str, ...]:
    """Every name a recipe may use, ours first."""
    return PLUGINS.names(BUILT_IN)


def find_player(name: str, where: str = "player") -> str | EntryPoint:
    """Ours by its short name, or another package's. Raises RecipeError for a name that nobody has,
    or several."""
    return PLUGINS.get(name, BUILT_IN, where)


def _factory(source: str | EntryPoint) -> Factory:
    factory: Factory
    if isinstance(source, str):
        module, attribute = BUILT_IN[source]
        factory = getattr(importlib.import_module(module), attribute)
    else:
        factory = PLUGINS.load(source, "player")
    return factory


def _checked(section: PlayerSection, factory: Factory) -> dict[str, Any]:
    """The options, once each is known to the factory and of a fitting kind."""
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
