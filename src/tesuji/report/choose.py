"""Which of many recorded games are worth a look: losses first, then something of everything."""

from collections.abc import Sequence

from tesuji.core.types import Episode
from tesuji.evaluation.matches.against import EVALUATED, outcome, seat_of

LOSSES = 3
INTEREST = ("error", "win", "draw")


def choose_games(episodes: Sequence[Episode], most: int = 8) -> list[Episode]:
    """At most `most` games: short losses of up to three kinds, then one of every other kind.

    A kind is an outcome and an ending against an opponent from a seat. Games without the
    evaluated player are left out.
    """
    ours = [episode for episode in episodes if EVALUATED in episode.players and episode.turns]
    losses = [episode for episode in ours if outcome(episode) == "loss"]
    rest = [episode for episode in ours if outcome(episode) != "loss"]
    chosen = _one_of_each(sorted(losses, key=lambda e: len(e.turns)), min(LOSSES, most))
    rest.sort(key=lambda episode: INTEREST.index(outcome(episode)))
    return chosen + _one_of_each(rest, most - len(chosen))


def _one_of_each(episodes: Sequence[Episode], most: int) -> list[Episode]:
    """The first game of each kind, spread over opponents: no opponent twice before all once."""
    kinds: dict[tuple[str, ...], Episode] = {}
    for episode in episodes:
        kind = (opponent_of(episode), outcome(episode), episode.ending, str(seat_of(episode)))
        kinds.setdefault(kind, episode)
    met: dict[str, int] = {}
    ranked = []
    for (against, *_), episode in kinds.items():
        met[against] = met.get(against, 0) + 1
        ranked.append((met[against], episode))
    ranked.sort(key=lambda pair: pair[0])
    return [episode for _, episode in ranked[:most]]


def opponent_of(episode: Episode) -> str:
    """Whom the evaluated player met."""
    others = sorted(set(episode.players) - {EVALUATED})
    return ", ".join(others) or "itself"
