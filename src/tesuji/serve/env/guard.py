"""Who may ask: this machine, and whoever has the key; requests and sockets alike.

A page in somebody's browser can send requests to 127.0.0.1, and open sockets there, under a name of
its own that it lets point there. So both have to name this server as they were told it, and what
comes from another page is refused.
"""

import hmac

from starlette.datastructures import URL, Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tesuji.serve.local import LARGEST, is_local

OPEN = "/health"  # what is told without the key


class Guard:
    """ASGI middleware around all of it; with a `key` all but /health need it."""

    def __init__(self, app: ASGIApp, host: str, key: str | None) -> None:
        self.app, self.host, self.key = app, host, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer, or why there is none; a socket is refused before it is opened."""
        asked = scope["type"] in ("http", "websocket")
        refused = self._refused(scope) if asked else None
        if refused is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await JSONResponse({"detail": refused[1]}, refused[0])(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": refused[1]})

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        headers, named = Headers(scope=scope), URL(scope=scope).hostname or ""
        if is_local(self.host) and not is_local(named):
            return 403, f"this server is not called {named!r}"
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != headers.get("host"):
            return 403, "requests of other pages are not answered"
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > LARGEST:
            return 413, f"a request has at most {LARGEST >> 20} MB, and says so in a number"
        if self.key and scope["path"] != OPEN and not self._has_key(headers):
            return 401, "the key is missing or wrong: Authorization: Bearer KEY"
        return None

    def _has_key(self, headers: Headers) -> bool:
        given = headers.get("authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), (self.key or "").encode())
