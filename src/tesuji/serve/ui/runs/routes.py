"""The list of runs."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from tesuji.serve.ui.house import House
from tesuji.serve.ui.pages import page


def router(house: House) -> APIRouter:
    """The routes of this part."""
    routes = APIRouter()

    @routes.get("/")
    def runs(request: Request) -> Response:
        names = sorted(path.parent.name for path in house.runs.glob("*/manifest.json"))
        return page(house, request, "runs.html.j2", names=names)

    return routes
