"""SecretMafia logs made here: real games on TextArena, written down as others write them.

    out/competitor/game_<timestamp>_<role>_<outcome>.json   one player's view of one game
    out/mgc/part-*.jsonl, part-*.parquet                    MGC2025 rows, one a player and game

Every third game goes to `mgc`, with all who acted in it; of the others two players' views are
written. So no game stands in both, and all views of a game share its `game_id`.
"""

import math
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import orjson

from tesuji.core.files import atomic_path
from tesuji.core.progress import SILENT, Progress
from tesuji.logs.synthetic.mafia_faults import FAULTS, FORMS, MGC_FAULTS, whole
from tesuji.logs.synthetic.mafia_files import competitor_record, file_name, mgc_rows
from tesuji.logs.synthetic.mafia_play import MadeGame, play

VIEWS = 2  # of a game
EVERY_FORM = 10  # of so many views each form has one
OFTEN = ("no_actions", "error", "no_actions", "error", "timeout")  # what real folders are full of
ROUND = (*OFTEN, *(name for name in FAULTS if name not in OFTEN), "duplicate")
ROWS_A_PART = 60


def make_mafia_logs(
    out: Path,
    *,
    games: int,
    seed: int,
    traps: bool,
    progress: Progress = SILENT,
) -> dict[str, int]:
    """Play `games` games and write them under `out`; return what was written and planted.

    `games`; `competitor` (files) and `mgc` (rows; a broken file counts as one); `no_row` (players
    of the games in `mgc` who never acted). With `traps` also `duplicate` (files that stand there
    twice) and the number of records with each form and fault of `mafia_faults`. Raises EngineError
    without TextArena, DataError when `out` cannot be written.
    """
    competitor = _Competitor(out / "competitor", games, traps)
    mgc = _Mgc(out / "mgc", traps)
    progress.begin("games", games)
    for number in range(games):
        game = play(number, seed)
        if number % 3 == 2:
            mgc.take(game)
        else:
            competitor.take(game, Random(f"mafia/views/{seed}/{number}"))
        progress.advance()
    competitor.finish()
    mgc.finish()
    return {"games": games, **competitor.counts, **mgc.counts}


class _Competitor:
    """The folder of one competitor."""

    def __init__(self, folder: Path, games: int, traps: bool) -> None:
        self.folder, self.traps = folder, traps
        self.counts: Counter[str] = Counter(competitor=0)
        self.views = self.faults = 0
        self.faults_a_game = math.ceil(len(ROUND) / (games - games // 3))

    def take(self, game: MadeGame, rng: Random) -> None:
        """Write two views, and with traps further ones with a fault."""
        acted = [seat for seat in range(len(game.roles)) if game.view(seat)]
        seats = rng.sample(acted, min(VIEWS, len(acted)))
        views = [self._formed(competitor_record(game, seat)) for seat in seats]
        for record, _ in views:
            self._write(file_name(record), whole(record))
        if self.traps:
            left = [seat for seat in acted if seat not in seats] or acted
            for _ in range(self.faults_a_game):
                self._plant(*views[0], competitor_record(game, rng.choice(left)))

    def finish(self) -> None:
        """A file that is no log at all."""
        if self.traps:
            self._write("session.log", b"INFO game started\nINFO game over\n")
            self.counts["unknown_file"] += 1

    def _formed(self, record: dict[str, Any]) -> tuple[dict[str, Any], str]:
        """The record in the form whose turn it is, and that form; half of the views stay as they
        are ("")."""
        place, self.views = self.views % EVERY_FORM, self.views + 1
        names = list(FORMS)
        if not self.traps or place % 2 or place // 2 >= len(names):
            return record, ""
        name = names[place // 2]
        self.counts[name] += 1
        return FORMS[name](record), name

    def _plant(self, written: dict[str, Any], form: str, other: dict[str, Any]) -> None:
        """The fault whose turn it is, in another player's view; or a view a second time."""
        turn, self.faults = self.faults // len(ROUND), self.faults + 1
        name = ROUND[(self.faults - 1) % len(ROUND)]
        self.counts[name] += 1
        if name == "duplicate":
            self.counts.update([form] if form else [])
            self._write(f"copy_{self.faults}_of_{file_name(written)}", whole(written))
            return
        stamp = datetime.fromisoformat(other["timestamp"])
        stamp += timedelta(microseconds=100 * self.faults)
        other = {**other, "timestamp": stamp.isoformat(timespec="microseconds")}
        faulty = FAULTS[name](other, turn + self.faults)
        outcome = faulty.get("outcome") if isinstance(faulty, dict) else None
        named = {**other, "outcome": outcome or other["outcome"]}
        self._write(file_name(named), faulty if isinstance(faulty, bytes) else whole(faulty))

    def _write(self, name: str, data: bytes) -> None:
        _write(self.folder / name, data)
        self.counts["competitor"] += 1


class _Mgc:
    """The public set's files: JSON lines and Parquet by turns."""

    def __init__(self, folder: Path, traps: bool) -> None:
        self.folder, self.traps = folder, traps
        self.counts: Counter[str] = Counter(mgc=0, no_row=0)
        self.rows: list[dict[str, Any]] = []
        self.parts = 0

    def take(self, game: MadeGame) -> None:
        """All rows of a game; those whose players never acted are not there."""
        rows = mgc_rows(game)
        self.counts["no_row"] += len(game.roles) - len(rows)
        self.rows += rows
        if len(self.rows) >= ROWS_A_PART:
            self._flush()

    def finish(self) -> None:
        """Write what is left: in both kinds of files, where there is none yet."""
        if self.rows and not self.parts:
            rest = self.rows[len(self.rows) // 2 :]
            self.rows = self.rows[: len(self.rows) // 2]
            self._flush()
            self.rows = rest
        if self.rows:
            self._flush()
        if self.traps and self.parts:
            _write(self.folder / f"part-{self.parts}.parquet", b"PAR1 cut off")
            self._count("mgc_broken_parquet")

    def _flush(self) -> None:
        self.counts["mgc"] += len(self.rows)
        if self.parts % 2:
            self._parquet()
        else:
            self._lines()
        self.parts, self.rows = self.parts + 1, []

    def _lines(self) -> None:
        lines = [orjson.dumps(row) for row in self.rows]
        for place, (name, fault) in enumerate(MGC_FAULTS.items() if self.traps else ()):
            lines.insert(3 * place, fault(self.rows[place % len(self.rows)]))
            self._count(name)
        _write(self.folder / f"part-{self.parts}.jsonl", b"\n".join(lines) + b"\n")

    def _parquet(self) -> None:
        import pyarrow
        import pyarrow.parquet

        with atomic_path(self.folder / f"part-{self.parts}.parquet") as aside:
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(self.rows), aside)

    def _count(self, fault: str) -> None:
        self.counts.update({"mgc": 1, fault: 1})


def _write(path: Path, data: bytes) -> None:
    with atomic_path(path) as aside:
        aside.write_bytes(data)
