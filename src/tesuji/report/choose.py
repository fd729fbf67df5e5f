"""Which of many recorded games are worth a look: losses first, then something of everything."""

from collections.abc import Sequence

from tesuji.core.types import Episode
from tesuji.evaluation.matches import EVALUATED, outcome

LOSSES = 3
INTEREST = ("error", "win", "draw")


def choose_games(episodes: Sequence[Episode], most: int = 8) -> list[Episode]:
    """At most `most` games: the shortest losses (up to three), then one of each kind.

    A kind is an outcome against an opponent from a seat. Games without the evaluated player are
    left out.
    """
    ours = [episode for episode in episodes if EVALUATED in episode.players and episode.turns]
    losses = sorted((e for e in ours if outcome(e) == "loss"), key=lambda e: len(e.turns))
    chosen = losses[: min(LOSSES, most)]
    rest = sorted(
        (e for e in ours if outcome(e) != "loss"), key=lambda e: INTEREST.index(outcome(e))
    )
    return chosen + _one_of_each(rest, most - len(chosen))


def _one_of_each(episodes: Sequence[Episode], most: int) -> list[Episode]:
    """The first game of each kind, spread over opponents: no opponent twice before all once."""
    kinds: dict[tuple[str, ...], Episode] = {}
    for episode in episodes:
        kinds.setdefault((opponent_of(episode), outcome(episode), str(seat_of(episode))), episode)
    turn_of: dict[str, int] = {}
    ranked = []
    for (against, *_), episode in kinds.items():
        turn_of[against] = turn_of.get(against, 0) + 1
        ranked.append((turn_of[against], episode))
    ranked.sort(key=lambda pair: pair[0])
    return [episode for _, episode in ranked[:most]]


def opponent_of(episode: Episode) -> str:
    """Whom the evaluated player met."""
    others = sorted(set(episode.players) - {EVALUATED})
    return ", ".join(others) or "itself"


def seat_of(episode: Episode) -> int:
    """Where the evaluated player sat."""
    return episode.players.index(EVALUATED)
