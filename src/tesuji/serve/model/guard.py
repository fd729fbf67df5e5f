"""Who may ask: this machine, and whoever has the key; refusals in OpenAI's form."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tesuji.serve.local import keyless, outsider
from tesuji.serve.model.dialect import problem

OPEN = "/health"  # what is told without the key
Next = Callable[[Request], Awaitable[Response]]


class Guard:
    """Looks at each request before anything reads it. With a `key` all but /health need it."""

    def __init__(self, host: str, key: str | None) -> None:
        self.host, self.key = host, key

    async def __call__(self, request: Request, go_on: Next) -> Response:
        """The answer, or why there is none."""
        refused = outsider(request.scope, self.host)
        if refused is None and request.url.path != OPEN:
            refused = keyless(request.scope, self.key)
        if refused is None:
            return await go_on(request)
        status, words = refused
        kind = "authentication_error" if status == 401 else "invalid_request_error"
        return JSONResponse(problem(words, kind), status)
