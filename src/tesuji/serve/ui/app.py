"""The pages of `tesuji ui`: one local site for everything that a run is.

Each folder beside this file is a part of the site, with a `routes.py` that has
`router(house) -> APIRouter`; its templates and scripts lie in `templates/` and `static/`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

import anyio
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from tesuji.core.errors import GameError, TesujiError
from tesuji.core.redact import redact
from tesuji.serve.ui.guard import Guard
from tesuji.serve.ui.house import House, NotHere
from tesuji.serve.ui.pages import STATIC, page

PARTS = ("runs", "replay", "play", "games", "ladder", "new", "doctor")  # folders with a routes.py


def make_app(house: House) -> FastAPI:
    """The application. What it started ends with it."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        yield
        await anyio.to_thread.run_sync(house.close)

    app = FastAPI(title="Tesuji", docs_url=None, redoc_url=None, openapi_url=None, lifespan=life)
    app.state.house = house
    app.add_middleware(Guard, house=house)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    for part in PARTS:
        app.include_router(import_module(f"tesuji.serve.ui.{part}.routes").router(house))
    for kind, answer in ((TesujiError, _told), (HTTPException, _plain)):
        app.exception_handler(kind)(answer)
    app.exception_handler(RequestValidationError)(_not_valid)
    return app


async def _told(request: Request, error: Any) -> Response:
    """An error that is the user's to mend: its words, in a page or in a part of one."""
    status = 404 if isinstance(error, NotHere | GameError) else 400
    return _words(request, status, redact(str(error)))


async def _plain(request: Request, error: Any) -> Response:
    words = "There is no such page." if error.status_code == 404 else str(error.detail)
    return _words(request, error.status_code, words)


async def _not_valid(request: Request, error: Any) -> Response:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:])
    return _words(request, 400, f"{place}: {first['msg']}")


def _words(request: Request, status: int, words: str) -> Response:
    """A page, or where a part of one was asked for, words for the place that all pages have."""
    house: House = request.app.state.house
    if request.headers.get("hx-request") != "true":
        return page(house, request, "problem.html.j2", status, words=words)
    part = page(house, request, "parts/problem.html.j2", status, words=words)
    part.headers.update({"HX-Retarget": "#problem", "HX-Reswap": "innerHTML"})
    return part
