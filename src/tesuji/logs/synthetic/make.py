"""Logs to try things with, where there are none at hand: games played here by scripted players."""

from pathlib import Path
from typing import Literal, get_args

from tesuji.core.errors import DataError
from tesuji.core.progress import SILENT, Progress

Kind = Literal["mafia", "poker"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def make_logs(
    kind: Kind,
    out: Path,
    *,
    games: int,
    seed: int,
    traps: bool,
    progress: Progress = SILENT,
) -> dict[str, int]:
    """Play `games` games and write their logs under `out`; return what was written and planted.

    With `traps`, the faults of real logs are planted in the numbers that are returned. Raises
    DataError for a folder that is not empty, so that old logs are never taken for new ones, and
    what `make_mafia_logs` or `make_poker_logs` raises.
    """
    if out.is_dir() and any(out.iterdir()):
        hint = "name another folder, or empty this one"
        raise DataError("the folder is not empty", where=str(out), hint=hint)
    if kind == "mafia":
        from tesuji.logs.synthetic.mafia import make_mafia_logs as make
    else:
        from tesuji.logs.synthetic.poker import make_poker_logs as make
    return make(out, games=games, seed=seed, traps=traps, progress=progress)
