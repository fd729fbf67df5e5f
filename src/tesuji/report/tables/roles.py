"""Results by role and side, in words: for the terminal and the page."""

import math
from collections.abc import Sequence

from tesuji.evaluation.results import Evaluation, RoleScore
from tesuji.report.words import interval, percent


def role_lines(look: Evaluation) -> list[dict[str, str]]:
    """`who` (role or side, and against whom) and `sentence`, a line each; empty without roles."""
    several = len({row.opponent for row in look.roles}) > 1
    others = [*look.baseline_roles, *look.beside_roles]
    return [
        {
            "who": row.who + (f" against {row.opponent}" if several else ""),
            "sentence": _sentence(row, [other for other in others if _same(other, row)]),
        }
        for row in look.roles
    ]


def _same(one: RoleScore, other: RoleScore) -> bool:
    """Whether both are about the same matches."""
    return (one.opponent, one.kind, one.who) == (other.opponent, other.kind, other.who)


def _sentence(row: RoleScore, others: Sequence[RoleScore]) -> str:
    """Wins, beside those of `others` in its place, clean wins, votes for the Mafia and survival,
    each with its interval; and legal replies."""
    whole = row.games - row.errors
    wins = [
        f"{other.stand_in or 'random'} {_share(other.wins, other.games - other.errors)}"
        for other in others
    ]
    beside = f", in its place {', '.join(wins)}" if wins else ""
    known = row.votes and math.isfinite(row.vote_interval.low)
    of_votes = f" ({interval(row.vote_interval)})" if known else ""
    parts = [
        f"wins {_share(row.wins, whole)} ({interval(row.win_interval)}) of {whole:,} games{beside}",
        f"of {row.clean:,} clean ones {_share(row.clean_wins, row.clean)}"
        f" ({interval(row.clean_interval)})",
        f"votes for the Mafia {_share(row.for_mafia, row.votes)}{of_votes}",
        f"survives {_share(row.survived, whole)} ({interval(row.survival_interval)})",
        f"ended by its own refused reply {row.lost_by_fault:,}, by another's {row.given:,}",
    ]
    if row.replies:
        legal = _share(row.replies - row.illegal, row.replies)
        parts.append(f"legal replies {legal} of {row.replies:,}")
    return "; ".join(parts)


def _share(part: int, whole: int) -> str:
    return f"{percent(part, whole)}%" if whole else "–"
