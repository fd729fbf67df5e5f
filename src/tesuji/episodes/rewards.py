"""What a seat's turns are worth to a learner: a weighted sum of named terms, each logged apart.

    rewards = make_terms({"returns": ..., "legal": ...}, game_of)
    rewards(episode, seat=0).total        # one number a turn of that seat

Another package adds a term through the entry-point group `tesuji.rewards`: a name and a callable
that takes the recipe's options and returns a `Term`.
"""

import difflib
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from tesuji.core.errors import EngineError, RecipeError
from tesuji.core.types import Episode
from tesuji.episodes.reward_terms import BUILT_IN, Judged, Term
from tesuji.games.base import Game, GameInfo
from tesuji.recipe.play import RewardTerm

GameOf = Callable[[Any], Game]


@dataclass(frozen=True, slots=True)
class TurnRewards:
    """Rewards of one seat's turns in order; `parts` are the weighted terms they are the sum of."""

    total: tuple[float, ...]
    parts: dict[str, tuple[float, ...]]


class Rewards:
    """The terms of a recipe with their weights."""

    def __init__(self, terms: Mapping[str, tuple[float, Term]], game_of: GameOf) -> None:
        self.terms, self.game_of = terms, game_of

    def __call__(self, episode: Episode, seat: int) -> TurnRewards:
        """Judge every turn of the seat; a turn that was not its own (a random opening) is worth 0.

        Raises EngineError for a value that is not a number.
        """
        game = self.game_of(episode)
        places = [place for place, turn in enumerate(episode.turns) if turn.seat == seat]
        judged = [Judged(episode, game, place) for place in places]
        parts = {
            name: tuple(weight * _value(name, term, at) for at in judged)
            for name, (weight, term) in self.terms.items()
        }
        total = tuple(sum(values) for values in zip(*parts.values(), strict=True))
        return TurnRewards(total, parts)


def make_terms(sections: Mapping[str, RewardTerm], game_of: GameOf) -> Rewards:
    """The terms a recipe names. Raises RecipeError for unknown names and options."""
    terms = {name: (section.weight, _make(name, section)) for name, section in sections.items()}
    if not terms:
        raise RecipeError("no term at all", where="rewards", hint="rewards: {returns: 1.0}")
    return Rewards(terms, game_of)


def reward_names() -> tuple[str, ...]:
    """Every term a recipe may name, ours first."""
    return (*BUILT_IN, *(entry.name for entry in metadata.entry_points(group="tesuji.rewards")))


def score_of(episode: Episode, seat: int, info: GameInfo) -> float:
    """The seat's return scaled to 0..1 over what the game can pay. Where that has no bounds: 1, 0.5
    or 0 for more than, as much as, or less than the best other seat."""
    ours, low, high = episode.returns[seat], info.min_utility, info.max_utility
    if math.isfinite(low) and math.isfinite(high) and high > low:
        return min(1.0, max(0.0, (ours - low) / (high - low)))
    best = max((r for other, r in enumerate(episode.returns) if other != seat), default=0.0)
    return 0.5 if ours == best else float(ours > best)


def _make(name: str, section: RewardTerm) -> Term:
    factory = BUILT_IN.get(name) or _third_party(name)
    known = list(inspect.signature(factory).parameters)
    for key in section.options:
        if key not in known:
            raise RecipeError(
                f"the reward term {name} has no option {key!r}",
                where=f"rewards.{name}",
                hint=f"its options: {', '.join(['weight', *known])}",
            )
    return factory(**section.options)


def _third_party(name: str) -> Callable[..., Term]:
    for entry in metadata.entry_points(group="tesuji.rewards"):
        if entry.name == name:
            return _load(entry)
    near = difflib.get_close_matches(name, reward_names(), n=1)
    guess = f"did you mean {near[0]}? " if near else ""
    raise RecipeError(
        f"there is no reward term {name!r}",
        where=f"rewards.{name}",
        hint=f"{guess}known: {', '.join(reward_names())}",
    )


def _load(entry: metadata.EntryPoint) -> Callable[..., Term]:
    try:
        return entry.load()
    except Exception as error:  # somebody else's package: whatever it raises is their fault
        raise RecipeError(
            f"the reward term {entry.name!r} of {entry.value} does not load: {error}",
            where=f"rewards.{entry.name}",
        ) from error


def _value(name: str, term: Term, at: Judged) -> float:
    value = term(at) if at.turn.attempts else 0.0
    if not math.isfinite(value):
        raise EngineError(
            f"the reward term {name} gave {value} for turn {at.place} of {at.episode.game}, "
            f"seed {at.episode.seed}",
            where=f"rewards.{name}",
            hint="mend the term, or leave it out",
        )
    return value
