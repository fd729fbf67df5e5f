"""Recorded matches of a run, step by step; every one and every step has an address:
`/replay/RUN?file=stages/05-after/episodes.jsonl&page=2#game=3&turn=4`."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from tesuji.report.page import asset
from tesuji.serve.ui.house import House
from tesuji.serve.ui.pages import page
from tesuji.serve.ui.replay.episodes import read_page

EPISODES = "episodes.jsonl"


def router(house: House) -> APIRouter:
    """The routes of this part."""
    routes = APIRouter(prefix="/replay")

    @routes.get("/static/board.js")
    def script() -> Response:
        """The report's own."""
        return Response(asset("board.js"), media_type="text/javascript")

    @routes.get("/static/replay.css")
    def style() -> Response:
        """The report's own."""
        return Response(asset("replay.css"), media_type="text/css")

    @routes.get("/{run}")
    def replay(
        request: Request,
        run: str,
        file: str = "",
        number: Annotated[int, Query(alias="page", ge=1, le=10_000_000)] = 1,
        one: str = "",
        other: str = "",
    ) -> Response:
        """A page of the matches of a file; without one, the run's files."""
        folder = house.run(run)
        if not file:
            found = (path.relative_to(folder) for path in folder.glob(f"**/{EPISODES}"))
            files = sorted(path.as_posix() for path in found if "~" not in str(path))
            return page(house, request, "replay/files.html.j2", run=run, files=files)
        between = (one, other) if one and other else None
        shown = read_page(house.file(run, file), number, between)
        return page(
            house,
            request,
            "replay/replay.html.j2",
            run=run,
            file=file,
            shown=shown,
            number=number,
            between=between,
        )

    return routes
