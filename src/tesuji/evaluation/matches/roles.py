"""Results by role and by side, in games that deal their roles (SecretMafia)."""

import math
from collections.abc import Iterator, Sequence

from tesuji.core.statistics import Interval, ratio_interval, wilson
from tesuji.core.types import Ending, Episode, Turn
from tesuji.evaluation.matches.against import outcome, seat_of
from tesuji.evaluation.results import RoleScore
from tesuji.games.textarena.secretmafia import MAFIA, VOTING, named, team


def score_roles(opponent: str, episodes: Sequence[Episode]) -> Iterator[RoleScore]:
    """All together, then by side, then by role, from the evaluated player's viewpoint; nothing
    for a game whose records name no roles."""
    dealt = [episode for episode in episodes if episode.provenance.get("roles")]
    if not dealt:
        return
    yield _score(opponent, "all", "all", dealt)
    for kind, of in (("side", lambda role: team(role)), ("role", lambda role: role)):
        for who in dict.fromkeys(of(role_of(episode, seat_of(episode))) for episode in dealt):
            if kind == "role" and who == MAFIA:
                continue  # the side is the role
            mine = [e for e in dealt if of(role_of(e, seat_of(e))) == who]
            yield _score(opponent, kind, who, mine)


def role_of(episode: Episode, seat: int) -> str:
    """The role that was dealt to the seat, "" where the record does not say."""
    return str(episode.provenance.get("roles", {}).get(str(seat), ""))


def clean(episode: Episode) -> bool:
    """Whether no reply of anybody was refused."""
    return not any(_refused(turn) for turn in episode.turns)


def votes_of(episode: Episode, seat: int) -> list[int]:
    """The seats that this seat's votes by day named, in order; refused ones left out."""
    cast = [t for t in episode.turns if t.seat == seat and t.phase == VOTING and not _refused(t)]
    moves = (named(turn.played.text) for turn in cast if turn.played is not None)
    return [move.id for move in moves if move is not None]


def _refused(turn: Turn) -> bool:
    return any(attempt.move is None for attempt in turn.attempts)


def _score(opponent: str, kind: str, who: str, episodes: Sequence[Episode]) -> RoleScore:
    whole = [episode for episode in episodes if episode.ending is not Ending.ERROR]
    wins = [episode for episode in whole if outcome(episode) == "win"]
    pure = [episode for episode in whole if clean(episode)]
    ended = [e for e in whole if e.ending is Ending.FORFEIT]
    votes = [_votes(episode) for episode in whole]
    survived = sum(seat_of(e) in e.provenance.get("survivors", ()) for e in whole)
    clean_wins = sum(clean(episode) for episode in wins)
    replies = [a for e in whole for t in e.turns if t.seat == seat_of(e) for a in t.attempts]
    return RoleScore(
        opponent=opponent,
        kind=kind,
        who=who,
        games=len(episodes),
        wins=len(wins),
        errors=len(episodes) - len(whole),
        clean=len(pure),
        clean_wins=clean_wins,
        own_faults=sum(any(_refused(t) for t in e.turns if t.seat == seat_of(e)) for e in whole),
        lost_by_fault=sum(e.offender == seat_of(e) and e not in wins for e in ended),
        given=sum(e.offender != seat_of(e) for e in ended),
        votes=sum(cast for _, cast in votes),
        for_mafia=sum(right for right, _ in votes),
        survived=survived,
        win_interval=wilson(len(wins), len(whole)),
        clean_interval=wilson(clean_wins, len(pure)),
        vote_interval=_within(ratio_interval([(right, cast) for right, cast in votes if cast])),
        survival_interval=wilson(survived, len(whole)),
        replies=len(replies),
        illegal=sum(attempt.move is None for attempt in replies),
    )


def _within(bounds: Interval) -> Interval:
    """A share's interval ends at 0 and 1; one that is not known stays so."""
    if math.isinf(bounds.low):
        return bounds
    return Interval(max(0.0, bounds.low), min(1.0, bounds.high))


def _votes(episode: Episode) -> tuple[int, int]:
    """(votes for a Mafioso, votes)."""
    cast = votes_of(episode, seat_of(episode))
    return sum(role_of(episode, seat) == MAFIA for seat in cast), len(cast)
