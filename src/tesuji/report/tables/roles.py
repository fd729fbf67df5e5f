"""Results by role and side, in words: for the terminal and the page."""

import math

from tesuji.evaluation.results import Evaluation, RoleScore
from tesuji.report.words import interval, percent


def role_lines(look: Evaluation) -> list[dict[str, str]]:
    """`who` (role or side, and against whom) and `sentence`, a line each; empty without roles."""
    several = len({row.opponent for row in look.roles}) > 1
    return [
        {
            "who": row.who + (f" against {row.opponent}" if several else ""),
            "sentence": role_sentence(row, _beside(look, row)),
        }
        for row in look.roles
    ]


def role_sentence(row: RoleScore, chance: RoleScore | None = None) -> str:
    """Wins, clean wins, votes for the Mafia and survival, each with its interval."""
    whole = row.games - row.errors
    beside = f", random in its place {_share(chance.wins, _whole(chance))}" if chance else ""
    parts = [
        f"wins {_share(row.wins, whole)} ({interval(row.win_interval)}) of {whole:,} games{beside}",
        f"of {row.clean:,} clean ones {_share(row.clean_wins, row.clean)}"
        f" ({interval(row.clean_interval)})",
        f"votes for the Mafia {_share(row.for_mafia, row.votes)}{_of_votes(row)}",
        f"survives {_share(row.survived, whole)} ({interval(row.survival_interval)})",
        f"ended by its own refused reply {row.lost_by_fault:,}, by another's {row.given:,}",
    ]
    return "; ".join(parts)


def _beside(look: Evaluation, row: RoleScore) -> RoleScore | None:
    same = (other for other in look.baseline_roles if other.opponent == row.opponent)
    return next((other for other in same if (other.kind, other.who) == (row.kind, row.who)), None)


def _share(part: int, whole: int) -> str:
    return f"{percent(part, whole)}%" if whole else "–"


def _whole(row: RoleScore) -> int:
    return row.games - row.errors


def _of_votes(row: RoleScore) -> str:
    known = row.votes and math.isfinite(row.vote_interval.low)
    return f" ({interval(row.vote_interval)})" if known else ""
