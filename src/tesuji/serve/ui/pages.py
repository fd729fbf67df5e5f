"""Pages from templates: every value is escaped, secrets are redacted by whoever reads files."""

import functools
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tesuji.core.redact import redact
from tesuji.report.words import duration, number
from tesuji.serve.ui.house import House

NAVIGATION = (
    ("/", "Runs"),
    ("/play", "Play"),
    ("/games", "Games"),
    ("/ladder", "Ladder"),
    ("/new", "New run"),
    ("/doctor", "Doctor"),
)


@functools.cache
def templates() -> Environment:
    """The environment of all pages."""
    environment = Environment(
        loader=PackageLoader("tesuji.serve.ui", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    environment.filters |= {"duration": duration, "number": number, "redact": redact}
    return environment


def page(
    house: House, request: Request, template: str, status: int = 200, **values: Any
) -> Response:
    """A whole page, or with a template that extends nothing a part of one. `path` is the address,
    which the navigation marks."""
    text = (
        templates()
        .get_template(template)
        .render(values, csrf=house.csrf, path=request.url.path, navigation=NAVIGATION)
    )
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store"})


STATIC = Path(__file__).parent / "static"
