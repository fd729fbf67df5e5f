"""OpenEnv's side of the catalogue: games by address, `openenv:http://127.0.0.1:8000`."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tesuji.core.errors import GameError
from tesuji.games.base import GameInfo
from tesuji.games.openenv.game import PREFIX, OpenEnvGame


def info(name: str) -> GameInfo:
    """Facts about the environment there. Raises as `load` does."""
    return load(name, {}).info


def load(name: str, options: Mapping[str, Any]) -> OpenEnvGame:
    """The environment at the address in the name. Raises GameError for what is no address, for an
    option that cannot be and for an environment that is not played in texts; EngineError where no
    environment answers there."""
    why = _wrong(name.removeprefix(PREFIX))
    if why:
        hint = "write it like openenv:http://127.0.0.1:8000; a key stands in a variable"
        raise GameError(f"{why}: it cannot be asked", where="game.name", hint=hint)
    game = OpenEnvGame(name, dict(options))
    _ = game.fields  # asks the server, and refuses an environment without texts
    return game


def _wrong(address: str) -> str:
    """Why this is no address; "" if it is one."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return "this is no address of a server"
    if any(sign.isspace() or not sign.isprintable() for sign in address):
        return "there is a blank or a control character in the address"
    if parts.username is not None or parts.password is not None:
        return "there is a name or a password in the address"
    return "there is a ? or a # in the address" if parts.query or parts.fragment else ""
