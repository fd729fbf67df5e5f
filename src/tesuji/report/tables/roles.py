"""Results by role and side, in words: for the terminal and the page."""

import math

from tesuji.evaluation.results import Evaluation, RoleScore
from tesuji.report.words import interval, percent


def role_lines(look: Evaluation) -> list[dict[str, str]]:
    """`who` (role or side, and against whom) and `sentence`, a line each; empty without roles."""
    several = len({row.opponent for row in look.roles}) > 1
    chance = {(row.opponent, row.kind, row.who): row for row in reversed(look.baseline_roles)}
    return [
        {
            "who": row.who + (f" against {row.opponent}" if several else ""),
            "sentence": _sentence(row, chance.get((row.opponent, row.kind, row.who))),
        }
        for row in look.roles
    ]


def _sentence(row: RoleScore, chance: RoleScore | None) -> str:
    """Wins, clean wins, votes for the Mafia and survival, each with its interval."""
    whole = row.games - row.errors
    beside = ""
    if chance:
        beside = f", random in its place {_share(chance.wins, chance.games - chance.errors)}"
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
    return "; ".join(parts)


def _share(part: int, whole: int) -> str:
    return f"{percent(part, whole)}%" if whole else "–"
