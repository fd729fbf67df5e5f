"""The list of runs: what is running now, and all of them, newest first."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from tesuji.core.redact import safe_all
from tesuji.pipeline.forecast.how_far import rate_words
from tesuji.serve.ui.house import House
from tesuji.serve.ui.pages import page
from tesuji.serve.ui.runs.overview import Overview, Overviews
from tesuji.serve.ui.runs.processes import STARTED, doing

A_PAGE = 50  # runs
LONGEST_SEARCH = 200  # letters


def router(house: House, overviews: Overviews) -> APIRouter:
    """The routes of the list."""
    routes = APIRouter()

    @routes.get("/")
    def runs(
        request: Request,
        q: Annotated[str, Query(max_length=LONGEST_SEARCH)] = "",
        run: Annotated[tuple[str, ...], Query()] = (),
        after: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    ) -> Response:
        """All runs; with HX-Request only the rows that a search leaves. `run` are those chosen."""
        values = _listed(overviews, q, set(run), after)
        part = request.headers.get("hx-request") == "true"
        return page(house, request, f"runs/{'rows' if part else 'list'}.html.j2", **values)

    @routes.get("/now")
    def now(request: Request) -> Response:
        """What is running now, again and again."""
        values: dict[str, Any] = {"running": _running(overviews), "starting": _starting(house)}
        return page(house, request, "runs/now.html.j2", **values)

    return routes


def _listed(overviews: Overviews, q: str, chosen: set[str], after: int) -> dict[str, Any]:
    folders = overviews.folders()
    if q.strip():
        found = [one for one in overviews.of(folders) if one.has(q) or one.name in chosen]
        shown = found[after : after + A_PAGE]
    else:
        found = []
        shown = overviews.of(folders[after : after + A_PAGE])
    count = len(found) if q.strip() else len(folders)
    return {
        "runs": [told(one) for one in shown],
        "running": [told(one) for one in overviews.of(one for one in folders if one[2])],
        "starting": _starting(overviews.house),
        "q": q,
        "chosen": chosen,
        "first": after + 1,
        "last": after + len(shown),
        "count": count,
        "all": len(folders),
        "before": max(0, after - A_PAGE) if after else None,
        "next": after + A_PAGE if after + A_PAGE < count else None,
        "where": str(overviews.house.runs),
    }


def _starting(house: House) -> list[str]:
    """Runs that were started from these pages and have no manifest yet."""
    begun = [path.parent for path in sorted(house.runs.glob(f"*/{STARTED}"))]
    new = [run for run in begun if not (run / "manifest.json").exists()]
    return [safe_all(run.name) for run in new if doing(run).anybody]


def _running(overviews: Overviews) -> list[dict[str, Any]]:
    busy = [one for one in overviews.folders() if one[2]]
    return [told(one) for one in overviews.of(busy)]


def told(one: Overview) -> dict[str, Any]:
    """A run as templates show it."""
    far = one.far
    return {
        "name": one.name,
        "state": far.state,
        "problem": safe_all(far.problem),
        "game": one.game,
        "model": one.model,
        "updated": time.strftime("%Y-%m-%d %H:%M", time.localtime(one.changed)),
        "done": far.done,
        "planned": len(far.stages),
        "now": safe_all(far.now.name) if far.now else "",
        "headline": one.headline,
        "pace": one.pace,
        "rate": rate_words(one.pace.rate) if one.pace and one.pace.rate else "",
    }
