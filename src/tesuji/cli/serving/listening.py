"""A socket to listen on, had before anything slow is done, and what its address is called."""

import os
import secrets
import socket

from tesuji.cli.console import say
from tesuji.core.errors import ComputeError


def listen(host: str, port: int) -> socket.socket:
    """A socket on that address. Raises ComputeError where it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        hint = "another --port, or 0 for any; is one served there already?"
        raise ComputeError(
            f"{host}:{port} cannot be used: {error.strerror}", where="--port", hint=hint
        ) from None
    return listener


def address(listener: socket.socket) -> str:
    """`http://127.0.0.1:8000`."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def key_for(host: str, variable: str) -> str | None:
    """What requests need: what the variable holds, else one drawn for an address beyond this
    machine, else nothing."""
    from tesuji.serve.local import is_local

    return os.environ.get(variable) or (None if is_local(host) else secrets.token_urlsafe(24))


def tell_key(key: str | None, variable: str) -> None:
    """Say it once where it was drawn here; where a person has set it, only in what."""
    if key and variable in os.environ:
        say(f"requests need the key in {variable}")
    elif key:
        say(f"requests need this key: {key}")
