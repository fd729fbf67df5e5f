"""What is done to runs from their pages: go on, stop, write the report again."""

from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import Response

from tesuji.report.page import write_report
from tesuji.serve.ui.house import House
from tesuji.serve.ui.pages import page
from tesuji.serve.ui.runs import processes
from tesuji.serve.ui.runs.one_run import state_of


def router(house: House) -> APIRouter:
    """The routes that change something."""
    routes = APIRouter()

    @routes.post("/runs/{name}/resume")
    def resume(name: str) -> Response:
        """Go on with it, in a process of its own."""
        processes.resume(house, name)
        return _again(name)

    @routes.post("/runs/{name}/stop")
    def stop(request: Request, name: str) -> Response:
        """Have it stop, as Ctrl-C does."""
        folder = house.run(name)
        processes.stop(folder)
        return page(house, request, "runs/state.html.j2", asked=True, **state_of(folder))

    @routes.post("/runs/{name}/report")
    def report(name: str) -> Response:
        """Write its report again."""
        write_report(house.run(name))
        return _again(name)

    return routes


def _again(name: str) -> Response:
    return Response(status_code=204, headers={"HX-Redirect": f"/runs/{quote(name)}"})
