"""What a seat's turns are worth to a learner: a weighted sum of named terms, each logged apart.

    rewards = make_terms({"returns": ..., "legal": ...}, game_of)
    rewards(episode, seat=0).total        # one number a turn of that seat

Another package adds a term through the entry-point group `tesuji.rewards`: a name and a callable
that takes the recipe's options (and, where it has parameters of these names, `game_of`, which gives
an episode's game, and `scorer`, the learned reward model) and returns a `Term`. A term that judges
many turns faster at once than one by one has a method `prepare(turns)`, called before them.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from tesuji.core.errors import EngineError, RecipeError, did_you_mean, placed
from tesuji.core.plugins import OURS, Plugins, blaming
from tesuji.core.types import Episode
from tesuji.episodes.rewards import terms, wordle
from tesuji.episodes.rewards.base import Judged, RewardModel, Term
from tesuji.episodes.rewards.learned import reward_model
from tesuji.episodes.rewards.oracle import Oracle, oracle
from tesuji.episodes.rewards.terms import TOOL_FORMAT, check_weight
from tesuji.episodes.rewards.tictactoe import tictactoe_table
from tesuji.episodes.transcript import turns_of
from tesuji.games.base import Game, GameInfo
from tesuji.recipe.schema.play import RewardTerm

GameOf = Callable[[Any], Game]
BUILT_IN: Mapping[str, Callable[..., Term]] = {
    "returns": terms.returns,
    "legal": terms.legal,
    "format": terms.format_,
    "length": terms.length,
    "oracle": oracle,
    "reward_model": reward_model,
    "tool_format": terms.tool_format,
    "tictactoe_table": tictactoe_table,
    "wordle_partial": wordle.wordle_partial,
    "wordle_turns": wordle.wordle_turns,
    "wordle_bits": wordle.wordle_bits,
}
KNOWS: Mapping[str, tuple[Callable[[GameInfo], bool], str]] = {
    "tool_format": (lambda info: info.family == "bfcl", "function calls (bfcl)"),
    "tictactoe_table": (lambda info: info.name == "tic_tac_toe", "tic_tac_toe"),
    **dict.fromkeys(
        ("wordle_partial", "wordle_turns", "wordle_bits"),
        (lambda info: info.family == "wordle", "wordle"),
    ),
}
PLUGINS = Plugins("tesuji.rewards", "reward term", RecipeError)
SERVICES = ("game_of", "scorer")


@dataclass(frozen=True, slots=True)
class TurnRewards:
    """Rewards of one seat's turns in order; `parts` are the weighted terms they are the sum of."""

    total: tuple[float, ...]
    parts: dict[str, tuple[float, ...]]


class Rewards:
    """The terms of a recipe with their weights."""

    def __init__(self, terms: Mapping[str, tuple[float, Term]], game_of: GameOf) -> None:
        self.terms, self.game_of = terms, game_of

    def prepare(self, played: Iterable[tuple[Episode, int]]) -> None:
        """Let the terms that can judge all turns of these (episode, seat) at once do so."""
        able: dict[str, Any] = {
            name: term for name, (_, term) in self.terms.items() if hasattr(term, "prepare")
        }
        if not able:
            return
        judged = [at for episode, seat in played for at in self._judged(episode, seat)]
        for name, term in able.items():
            with _blaming(name):
                term.prepare(judged)

    def _judged(self, episode: Episode, seat: int) -> list[Judged]:
        game = self.game_of(episode)
        return [Judged(episode, game, place) for place, _ in turns_of(episode, seat)]

    def __call__(self, episode: Episode, seat: int) -> TurnRewards:
        """Judge every turn of the seat; a turn that was not its own (a random opening) is worth 0.

        Raises EngineError for a value that is not a number.
        """
        judged = self._judged(episode, seat)
        parts = {
            name: tuple(weight * _value(name, term, at) for at in judged)
            for name, (weight, term) in self.terms.items()
        }
        total = tuple(sum(values) for values in zip(*parts.values(), strict=True))
        return TurnRewards(total, parts)


def make_terms(
    sections: Mapping[str, RewardTerm], game_of: GameOf, scorer: RewardModel | None = None
) -> Rewards:
    """The terms a recipe names; `scorer` is the learned reward model, if one is named.

    Raises RecipeError for unknown names and for options that a term does not have, needs, or
    cannot use.
    """
    terms = {
        name: (section.weight, _make(name, section, {"game_of": game_of, "scorer": scorer}))
        for name, section in sections.items()
    }
    if (shaping := section_of(sections, TOOL_FORMAT)) is not None:
        paid = section_of(sections, "returns")
        check_weight(shaping.weight, paid.weight if paid else 0.0)
    if not terms:
        raise RecipeError("no term at all", where="rewards", hint="rewards: {returns: 1.0}")
    return Rewards(terms, game_of)


def check_fit(rewards: Rewards, game: Game) -> None:
    """Raise RecipeError or GameError where a term cannot judge this game."""
    for name, (_, term) in rewards.terms.items():
        short = name.removeprefix(f"{OURS}:")
        fits, knows = KNOWS.get(short, (None, ""))
        if fits is not None and not fits(game.info):
            raise RecipeError(
                f"{short} judges {knows}, not {game.name}",
                where=f"rewards.{name}",
                hint="leave it out, or play what it is for; `returns` fits every game",
            )
        if isinstance(term, Oracle):
            with placed(f"rewards.{name}"):
                term.check(game)


def section_of(sections: Mapping[str, RewardTerm], name: str) -> RewardTerm | None:
    """What a recipe says of one of our terms, by its short or its whole name; None: nothing."""
    return sections.get(name) or sections.get(f"{OURS}:{name}")


def _make(name: str, section: RewardTerm, services: Mapping[str, Any]) -> Term:
    factory = _factory(name)
    signature = inspect.signature(factory)
    given = {key: service for key, service in services.items() if key in signature.parameters}
    _check_options(name, section.options, signature)
    try:
        signature.bind(**given, **section.options)
    except TypeError as error:
        raise RecipeError(
            f"the reward term {name}: {error}", where=f"rewards.{name}", hint="add that option"
        ) from error
    return factory(**given, **section.options)


def _check_options(name: str, options: Iterable[str], signature: inspect.Signature) -> None:
    """Every option is one that the term knows; one that takes `**options` knows all."""
    known = [key for key in signature.parameters if key not in SERVICES]
    if any(one.kind is one.VAR_KEYWORD for one in signature.parameters.values()):
        return
    for key in options:
        if key not in known:
            raise RecipeError(
                f"the reward term {name} has no option {key!r}",
                where=f"rewards.{name}",
                hint=f"{did_you_mean(key, known)}its options: {', '.join(['weight', *known])}",
            )


def _factory(name: str) -> Callable[..., Term]:
    where = f"rewards.{name}"
    source = PLUGINS.get(name, BUILT_IN, where)
    factory: Callable[..., Term] = (
        BUILT_IN[source] if isinstance(source, str) else PLUGINS.load(source, where)
    )
    return factory


def _value(name: str, term: Term, at: Judged) -> float:
    with _blaming(name):
        value: Any = term(at) if at.turn.attempts else 0.0
    number = _number(value)
    if not math.isfinite(number):
        raise EngineError(
            f"the reward term {name} gave {value!r} for turn {at.place} of {at.episode.game}, "
            f"seed {at.episode.seed}",
            where=f"rewards.{name}",
            hint="mend the term, or leave it out",
        )
    return number


def _blaming(name: str) -> AbstractContextManager[None]:
    """Names the term of another package that fails; one of ours fails as the fault it is."""
    ours = name.removeprefix(f"{OURS}:") in BUILT_IN
    return nullcontext() if ours else blaming(f"the reward term {name}", f"rewards.{name}")


def _number(value: Any) -> float:
    """Any kind of number (NumPy's, torch's) as a float; NaN for what is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
