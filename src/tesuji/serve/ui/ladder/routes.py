"""The ladders that were played in these runs: ratings with intervals, the matches behind them."""

import time
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from tesuji.core.errors import DataError
from tesuji.evaluation.matches.ladder_folder import FOLDER, LADDER, SavedLadder, load_ladder
from tesuji.report.words import interval
from tesuji.serve.ui.house import House
from tesuji.serve.ui.pages import page


@dataclass(frozen=True, slots=True)
class Shown:
    """One run's ladder, or why it cannot be read."""

    run: str
    ladder: SavedLadder | None
    problem: str = ""

    @property
    def made(self) -> str:
        """When it was played."""
        assert self.ladder is not None
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(self.ladder.made))

    @property
    def scale(self) -> tuple[float, float]:
        """The lowest and the highest end of all intervals."""
        assert self.ladder is not None
        spreads = [rung.interval for rung in self.ladder.rungs]
        return min(one.low for one in spreads), max(one.high for one in spreads)

    def bar(self, rung: Any) -> dict[str, str]:
        """Where an interval and its rating stand on the scale, in percent."""
        low, high = self.scale
        wide = (high - low) or 1.0
        ends = {"low": rung.interval.low, "high": rung.interval.high, "at": rung.rating}
        return {name: f"{100 * (end - low) / wide:.2f}%" for name, end in ends.items()}


def router(house: House) -> APIRouter:
    """The routes of this part."""
    routes = APIRouter(prefix="/ladder")

    @routes.get("")
    def ladders(request: Request) -> Response:
        """All of them, the newest first."""
        shown = [_shown(house, path.parts[-3]) for path in house.runs.glob(f"*/{FOLDER}/{LADDER}")]
        shown.sort(key=lambda one: -one.ladder.made if one.ladder else 0)
        return page(house, request, "ladder/ladder.html.j2", ladders=shown, interval=interval)

    return routes


def _shown(house: House, run: str) -> Shown:
    try:
        return Shown(run, load_ladder(house.run(run)))
    except DataError as error:
        return Shown(run, None, error.what)
