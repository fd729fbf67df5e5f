"""A ladder: everybody plays everybody, seats rotated, and is rated (OpenSkill, alpha-rank).

The rating is Plackett and Luce's model as the `openskill` package fits it (Weng and Lin 2011): a
mean `mu` and a deviation `sigma`, beginning at 25 and 25/3. It sees matches one after the other,
so its result depends a little on their order: it is the mean over several orders that follow from
the seed. Ratings of one ladder cannot be compared with those of another.

A rating is one number each, so that it cannot say that A beats B, B beats C and C beats A.
Alpha-rank can (Omidshafiei et al. 2019, as OpenSpiel computes it): the share of time that a
population in which whoever does better spreads spends with each of them; several get some where
they beat each other in a circle. It is the mean over resamples of the matches, with their spread.
"""

import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean
from typing import Any

import numpy

from tesuji.core.errors import GameError
from tesuji.core.seeds import stream
from tesuji.core.statistics import Z95, Interval, wilson
from tesuji.core.types import Ending, Episode
from tesuji.episodes.reply_rules import TurnRules
from tesuji.evaluation.matches.against import EVALUATED, outcome, play_opponent
from tesuji.games.base import Game
from tesuji.players.base import Player

ORDERS = 20
RESAMPLES = 200
SCORES = {"win": 1.0, "draw": 0.5, "loss": 0.0}

Result = tuple[str, str, float]


@dataclass(frozen=True, slots=True)
class Rung:
    """One entrant: its rating with a 95% interval, how its matches went, its share by alpha-rank
    with the interval that 95% of the resamples lie in."""

    name: str
    rating: float
    interval: Interval
    wins: int
    draws: int
    losses: int
    win_interval: Interval
    alpha_rank: float
    alpha_interval: Interval


@dataclass(frozen=True, slots=True)
class Ladder:
    """The entrants, best first. `pairs[a, b]` counts a's wins, draws and losses against b."""

    rungs: tuple[Rung, ...]
    pairs: Mapping[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)


def play_ladder(
    game: Game,
    entrants: Mapping[str, Player],
    *,
    episodes: int,
    seed: int,
    rules: TurnRules,
    on_match: Callable[[str, str, Episode], None] = lambda one, other, episode: None,
) -> Ladder:
    """`episodes` matches for every pair of entrants; `on_match` sees each as it ends, with the
    names of the two. Matches in which a player failed (an engine crash) count for nobody. Raises
    GameError for a game of one seat, where nobody meets, and for a cooperative one."""
    if game.num_players == 1:
        raise GameError(
            f"{game.name} has one seat, so that nobody meets on a ladder",
            where="tesuji ladder",
            hint="`evaluation.opponents` play such a game beside the model",
        )
    if game.info.cooperative:
        raise GameError(
            f"{game.name} pays all seats alike, so that nobody beats anybody on a ladder",
            where="tesuji ladder",
            hint="`tesuji eval` says what a model earns together with each of the others",
        )
    results: list[Result] = []
    for one, other in itertools.combinations(entrants, 2):
        for episode in play_opponent(
            game,
            entrants[one],
            entrants[other],
            episodes=episodes,
            seed=stream(seed, one, other),
            rules=rules,
            on_episode=partial(on_match, one, other),
        ):
            if episode.ending is not Ending.ERROR:
                assert EVALUATED in episode.players
                results.append((one, other, SCORES[outcome(episode)]))
    return rated(list(entrants), results, seed)


def rated(names: list[str], results: list[Result], seed: int) -> Ladder:
    """The ladder that follows from results (a, b, a's score)."""
    ratings = [_ratings(names, results, random.Random(stream(seed, n))) for n in range(ORDERS)]
    pairs = {pair: _counts(pair, results) for pair in itertools.combinations(names, 2)}
    alpha = alpha_ranks(names, pairs, stream(seed, "alpha-rank"))
    rungs = []
    for name in names:
        mu, sigma = (fmean(column) for column in zip(*(one[name] for one in ratings), strict=True))
        mine = [s for a, _, s in results if a == name] + [1 - s for _, b, s in results if b == name]
        wins, draws = mine.count(1.0), mine.count(0.5)
        spread = Interval(mu - Z95 * sigma, mu + Z95 * sigma)
        losses = len(mine) - wins - draws
        won = wilson(wins, len(mine))
        rungs.append(Rung(name, mu, spread, wins, draws, losses, won, *alpha[name]))
    return Ladder(tuple(sorted(rungs, key=lambda rung: -rung.rating)), pairs)


def _ratings(
    names: list[str], results: list[Result], order: random.Random
) -> dict[str, tuple[float, float]]:
    """(mu, sigma) by name after all results in one order."""
    from openskill.models import PlackettLuce

    model = PlackettLuce()
    ratings = {name: model.rating(name=name) for name in names}
    for one, other, score in order.sample(results, len(results)):
        teams = [[ratings[one]], [ratings[other]]]
        (ratings[one],), (ratings[other],) = model.rate(teams, scores=[score, 1 - score])
    return {name: (rating.mu, rating.sigma) for name, rating in ratings.items()}


def _counts(pair: tuple[str, str], results: list[Result]) -> tuple[int, int, int]:
    scores = [score for a, b, score in results if (a, b) == pair]
    return scores.count(1.0), scores.count(0.5), scores.count(0.0)


def alpha_ranks(
    names: list[str], pairs: Mapping[tuple[str, str], tuple[int, int, int]], seed: int
) -> dict[str, tuple[float, Interval]]:
    """(share, interval) by name; see above. `pairs` as in `Ladder`."""
    draw = numpy.random.default_rng(seed)
    masses = numpy.array([_mass(names, pairs, draw) for _ in range(RESAMPLES)])
    low, high = numpy.quantile(masses, [0.025, 0.975], axis=0)
    return {
        name: (float(masses[:, n].mean()), Interval(float(low[n]), float(high[n])))
        for n, name in enumerate(names)
    }


def _mass(names: list[str], pairs: Mapping[tuple[str, str], Any], draw: Any) -> Any:
    """Alpha-rank's stationary distribution over the names, of one resample of the matches."""
    from open_spiel.python.egt import alpharank

    scores = numpy.full((len(names), len(names)), 0.5)
    for (one, other), counts in pairs.items():
        played = sum(counts)
        shares = numpy.array(counts) / played if played else numpy.array([0, 1, 0])
        wins, draws, _ = draw.multinomial(max(played, 1), shares)
        here, there = names.index(one), names.index(other)
        scores[here, there] = (wins + draws / 2) / max(played, 1)
        scores[there, here] = 1 - scores[here, there]
    if len(names) < 2:
        return numpy.ones(len(names))
    return alpharank.compute([scores], use_inf_alpha=True)[2]
