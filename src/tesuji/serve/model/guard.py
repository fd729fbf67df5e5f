"""Who may ask: this machine, and whoever has the key.

A page in somebody's browser can send requests to 127.0.0.1, under a name of its own that it lets
point there. So requests have to name this server as they were told it, and those that come from
another page are refused.
"""

import hmac
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tesuji.serve.local import LARGEST, is_local
from tesuji.serve.model.dialect import problem

Next = Callable[[Request], Awaitable[Response]]


class Guard:
    """Looks at each request before anything reads it. With a `key` all but /health need it."""

    def __init__(self, host: str, key: str | None) -> None:
        self.host = host
        self.key = key

    async def __call__(self, request: Request, go_on: Next) -> Response:
        """The answer, or why there is none."""
        if refused := self._refused(request):
            return refused
        return await go_on(request)

    def _refused(self, request: Request) -> Response | None:
        named = request.url.hostname or ""
        if is_local(self.host) and not is_local(named):
            return _no(403, f"this server is not called {named!r}")
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
            return _no(403, "requests of other pages are not answered")
        if int(request.headers.get("content-length") or 0) > LARGEST:
            return _no(413, f"a request has at most {LARGEST >> 20} MB")
        if self.key and request.url.path != "/health" and not self._has_key(request):
            return _no(401, "the key is missing or wrong: Authorization: Bearer KEY")
        return None

    def _has_key(self, request: Request) -> bool:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), (self.key or "").encode())


def _no(status: int, message: str) -> JSONResponse:
    kind = "authentication_error" if status == 401 else "invalid_request_error"
    return JSONResponse(problem(message, kind), status_code=status)
