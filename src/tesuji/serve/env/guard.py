"""Who may ask: this machine, and whoever has the key; requests and sockets alike."""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tesuji.serve.local import Refusal, keyless, outsider

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

    def _refused(self, scope: Scope) -> Refusal | None:
        refused = outsider(scope, self.host)
        if refused is None and scope["path"] != OPEN:
            return keyless(scope, self.key)
        return refused
