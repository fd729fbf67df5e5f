"""Who may ask, and what a page may do: looked at before anything reads a request.

- Requests name this server as they were told it and come from no other page (`serve/local.py`).
- What changes anything is POST and carries the token that only pages of this server know.
- For addresses beyond this machine every request needs the key: once in the address (`?key=`), from
  then on in a cookie.
"""

from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import URL, Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tesuji.serve.local import outsider, same
from tesuji.serve.ui.house import House

COOKIE = "tesuji_key"
CSRF = "x-csrf-token"
READS = ("GET", "HEAD")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "style-src-attr 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """ASGI middleware around the pages."""

    def __init__(self, app: ASGIApp, house: House) -> None:
        self.app, self.house = app, house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer, or why there is none; either with the headers that all of them have."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer: ASGIApp = self._refused(scope) or self.app
        await answer(scope, receive, with_headers)

    def _refused(self, scope: Scope) -> Response | None:
        headers, url = Headers(scope=scope), URL(scope=scope)
        if refused := outsider(scope, self.house.host):
            return PlainTextResponse(refused[1], refused[0])
        return self._keyless(url, headers) or self._not_ours(scope, headers)

    def _keyless(self, url: URL, headers: Headers) -> Response | None:
        """A refusal without the key; once it stands in the address, on to the same address without
        it, the cookie set."""
        key = self.house.token
        if key is None or same(_cookie(headers), key):
            return None
        query = parse_qs(url.query)
        if not same("".join(query.pop("key", [])), key):
            return _no(401, "open the address that `tesuji ui` printed: it holds the key")
        rest = urlencode(query, doseq=True)
        on = RedirectResponse(url.path + (f"?{rest}" if rest else ""), 303)
        on.set_cookie(COOKIE, key, httponly=True, samesite="strict")
        return on

    def _not_ours(self, scope: Scope, headers: Headers) -> Response | None:
        if scope["method"] in READS or same(headers.get(CSRF, ""), self.house.csrf):
            return None
        return _no(403, "this page is of another server or an earlier one: open it again")


def _cookie(headers: Headers) -> str:
    try:
        held = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return held.value if held else ""


def _no(status: int, message: str) -> Response:
    return PlainTextResponse(message, status)
