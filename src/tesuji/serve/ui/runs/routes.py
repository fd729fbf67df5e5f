"""The part of the site that shows runs: the list, each run, comparisons."""

from fastapi import APIRouter

from tesuji.serve.ui.house import House
from tesuji.serve.ui.runs import actions, comparing, files, listing, live, one_run
from tesuji.serve.ui.runs.overview import Overviews


def router(house: House) -> APIRouter:
    """The routes of this part."""
    routes = APIRouter()
    overviews = Overviews(house)
    routes.include_router(listing.router(house, overviews))
    for part in (live, one_run, files, actions, comparing):
        routes.include_router(part.router(house))
    return routes
