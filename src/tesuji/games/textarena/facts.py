"""What is known of a TextArena environment without the library, and which options fit it."""

from collections.abc import Mapping, Sequence
from typing import Any

from tesuji.core.errors import GameError
from tesuji.games.base import GameInfo
from tesuji.games.options import no_option
from tesuji.games.textarena.names import facts
from tesuji.games.textarena.secretmafia import is_secretmafia

FAMILY = "textarena"
OWN_OPTIONS = ("num_players", "observations", "prompt", "fix_night_kills")

# Full pay is a win in environments for one seat, but: these pay it for a good loss, too, and say in
# these words that it was none ...
WINNING_WORDS = {"2048": "Congratulations", "Countdown": "Perfect!", "Slitherlink": "single loop"}
# ... and these say nothing of winning: a count of sets, and regret paid as if it were a merit.
NOTHING_WON = ("Bandit", "Set")


def describe(name: str, unavailable: str = "") -> GameInfo:
    """Facts about an environment; rewards of most lie between -1 and 1, with one seat between 0 and
    1 (where a refused reply may pay -1, which is scored as 0)."""
    known = facts(name)
    edge = 1.0 if known.bounded else float("inf")
    stem = stem_of(name)
    mafia = is_secretmafia(name)
    return GameInfo(
        name=name,
        title=stem,
        family=FAMILY,
        seats=known.seats,
        information="imperfect" if known.hidden else "perfect",
        chance=known.chance,
        simultaneous=False,
        zero_sum=False,
        min_utility=0.0 if known.bounded and known.seats == (1, 1) else -edge,
        max_utility=edge,
        traits=("text", "random_replies"),
        metrics=("roles",) if mafia and not unavailable else (),
        unavailable=unavailable,
        won_by="" if stem in NOTHING_WON else "verdict" if stem in WINNING_WORDS else "pay",
    )


def stem_of(name: str) -> str:
    """The family an environment belongs to: its name up to the version."""
    return name.partition("-v0")[0]


def check_options(name: str, options: Mapping[str, Any], environment: Sequence[str]) -> None:
    """Raise GameError for options that this environment does not know or cannot use;
    `environment` are the environment's own."""
    known = (*OWN_OPTIONS[: 4 if is_secretmafia(name) else 3], *environment)
    for key in options:
        if key not in known:
            raise no_option(name, key, list(known))
    fewest, most = facts(name).seats
    seats = options.get("num_players", fewest)
    if isinstance(seats, bool) or not isinstance(seats, int) or not fewest <= seats <= most:
        raise GameError(
            f"num_players must be {fewest} to {most}, not {seats!r}", where="game.options"
        )
    if options.get("observations", "all") not in ("all", "new"):
        raise GameError("observations must be all or new", where="game.options.observations")
    if options.get("prompt", "environment") not in ("environment", "logs"):
        raise GameError("prompt must be environment or logs", where="game.options.prompt")
