"""How a match went for one seat: won, drawn, lost, or nobody can say. The one place that says so:
evaluations, ladders, success in reinforcement learning, curricula, failure replay and reports.

With several seats a win is a return above every other seat's and a draw a shared best; seats that
win together are named by the game (`winners` in the record). With one seat nothing is beaten: a
match is won where the game says so, or where it paid all there is (`games.base.is_won`), which the
record keeps in the same place; a game that knows neither gives returns and no result. Nor does one
that pays all seats alike (`cooperative` in the record): what they earned together is no draw. A
seat whose own refused reply ended its match has not won it.
"""

import math
from collections.abc import Iterable
from typing import Literal

from tesuji.core.types import Ending, Episode
from tesuji.games.base import GameInfo

Result = Literal["win", "draw", "loss", "error", "unknown"]
SHORT_OF_A_WIN = 0.49  # of 1: the most that a match for one seat scores that was not won


def result_of(episode: Episode, seat: int) -> Result:
    """What the match was for this seat; "error" where a player or the game failed, "unknown" where
    nothing says what winning is."""
    alone = len(episode.players) == 1
    winners = episode.provenance.get("winners")
    if episode.ending is Ending.ERROR:
        return "error"
    if episode.provenance.get("cooperative") or (alone and winners is None):
        return "unknown"
    if winners or alone:
        return "win" if seat in (winners or ()) else "loss"
    ours = episode.returns[seat]
    best_other = max(paid for other, paid in enumerate(episode.returns) if other != seat)
    return "draw" if ours == best_other else "win" if ours > best_other else "loss"


def ended_by(episode: Episode, seat: int) -> bool:
    """Whether the seat ended the match by a reply that was no move."""
    return episode.ending is Ending.FORFEIT and episode.offender == seat


def score_of(episode: Episode, seat: int, info: GameInfo) -> float:
    """The seat's return scaled to 0..1 over what the game can pay. Where that has no bounds: 1, 0.5
    or 0 for a win, a draw or a loss.

    In a game for one seat a win is 1 and all else below a half: what was paid, scaled to there, and
    nothing for a match that the seat's own refused reply ended. Where nothing is won the score is
    the scaled return, or the return itself if that has no bounds.
    """
    result = result_of(episode, seat)
    share = _share(episode.returns[seat], info)
    if len(episode.players) > 1:
        return {"win": 1.0, "draw": 0.5}.get(result, 0.0) if share is None else share
    if result == "unknown":
        return episode.returns[seat] if share is None else share
    if result == "win" or ended_by(episode, seat):
        return float(result == "win")
    return SHORT_OF_A_WIN * (share or 0.0)


def success_of(episode: Episode, seat: int, info: GameInfo) -> bool | None:
    """Whether the seat scored more than a half: for one seat, whether it won. None: unknown."""
    result = result_of(episode, seat)
    if result == "error" or (result == "unknown" and len(episode.players) == 1):
        return None
    return score_of(episode, seat, info) > 0.5


def rate(successes: Iterable[bool | None]) -> tuple[int, int]:
    """(how many succeeded, of how many), those left out of which nothing is known."""
    known = [success for success in successes if success is not None]
    return sum(known), len(known)


def _share(paid: float, info: GameInfo) -> float | None:
    """The return on a scale from the least to the most that can be paid; None without bounds."""
    low, high = info.min_utility, info.max_utility
    if not (math.isfinite(low) and math.isfinite(high) and high > low):
        return None
    return min(1.0, max(0.0, (paid - low) / (high - low)))
