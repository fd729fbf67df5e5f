"""Several runs beside each other, as `tesuji compare` has them."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from tesuji.core.errors import DataError
from tesuji.core.json_dataclass import json_safe
from tesuji.core.redact import safe_all
from tesuji.report.compare.compare import compare
from tesuji.report.compare.page import comparison_values
from tesuji.serve.ui.house import House
from tesuji.serve.ui.pages import page
from tesuji.serve.ui.runs.live import metric_log

MOST_RUNS = 30
MOST_LOG = 64 << 20  # bytes of a metric log: figures are read from all of it
Names = Annotated[tuple[str, ...], Query(max_length=MOST_RUNS)]


def router(house: House) -> APIRouter:
    """The route of comparisons."""
    routes = APIRouter()

    @routes.get("/compare")
    def compared(request: Request, run: Names = ()) -> Response:
        """Runs beside each other; of fewer than two, the list to choose from."""
        names = list(dict.fromkeys(run))
        if len(names) < 2:
            return RedirectResponse("/?" + urlencode([("run", name) for name in names]), 303)
        for name in names:
            _refuse_long(house, name)
        found = compare([house.run(name) for name in names])
        values: dict[str, Any] = json_safe(safe_all(comparison_values(found)))
        return page(house, request, "runs/compare.html.j2", names=names, **values)

    return routes


def _refuse_long(house: House, name: str) -> None:
    log = metric_log(house, name)
    if log is not None and log.stat().st_size > MOST_LOG:
        hint = "`tesuji compare` reads it, with the memory that it takes"
        raise DataError(f"its metric log is longer than {MOST_LOG >> 20} MB", where=name, hint=hint)
