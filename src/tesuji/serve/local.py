"""What is true of whatever listens here, and who is refused by all of it.

A page in somebody's browser can send requests to 127.0.0.1, and open sockets there, under a name of
its own that it lets point there. So both have to name this server as they were told it, and what
comes from another page is refused.
"""

import hmac
import ipaddress

from starlette.datastructures import URL, Headers
from starlette.types import Scope

LARGEST = 8 << 20  # bytes of a request
Refusal = tuple[int, str]  # a status, and why


def is_local(host: str) -> bool:
    """Whether a name or address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def outsider(scope: Scope, host: str) -> Refusal | None:
    """Why a request or a socket is not answered by a server that listens on `host`; None: it is."""
    headers, named = Headers(scope=scope), URL(scope=scope).hostname or ""
    if is_local(host) and not is_local(named):
        return 403, f"this server is not called {named!r}"
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != headers.get("host"):
        return 403, "requests of other pages are not answered"
    length = headers.get("content-length") or "0"
    if not length.isdigit() or int(length) > LARGEST:
        return 413, f"a request has at most {LARGEST >> 20} MB, and says so in a number"
    return None


def keyless(scope: Scope, key: str | None) -> Refusal | None:
    """Why a request without the right `Authorization: Bearer KEY` is not answered."""
    given = Headers(scope=scope).get("authorization", "").removeprefix("Bearer ")
    if key is None or same(given, key):
        return None
    return 401, "the key is missing or wrong: Authorization: Bearer KEY"


def same(given: str, right: str) -> bool:
    """Whether two secrets are equal, in a time that does not tell how far."""
    return hmac.compare_digest(given.encode(), right.encode())
