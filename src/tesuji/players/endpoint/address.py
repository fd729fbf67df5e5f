"""What can be refused of an endpoint before it is asked: address, variable, client, key."""

import importlib.util
import os
import re
from urllib.parse import urlsplit

from tesuji.core.errors import EngineError, RecipeError
from tesuji.recipe.schema.endpoint import EndpointSection

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_endpoint(where: str, endpoint: EndpointSection, *, used: bool) -> None:
    """The address is one, and where it is `used` the client is there. Raises RecipeError."""
    why = wrong_address(endpoint.base_url)
    if why:
        raise RecipeError(
            f"{why}: it cannot be asked",
            where=f"{where}.base_url",
            hint="write it like http://127.0.0.1:8000/v1 or https://api.example.com/v1",
        )
    if not _VARIABLE.fullmatch(endpoint.api_key_env):
        raise RecipeError(
            "this is no name of an environment variable",
            where=f"{where}.api_key_env",
            hint="write the variable's name, such as OPENAI_API_KEY; the key itself stays outside",
        )
    if used and importlib.util.find_spec("openai") is None:
        raise RecipeError(
            "the openai client, which asks the endpoint, is not installed",
            where=where,
            hint="pip install 'tesuji[llm]'",
        )


def key_in_environment(endpoint: EndpointSection) -> str:
    """The key, or "" where there is none. Raises EngineError for one no header can carry."""
    key = os.environ.get(endpoint.api_key_env, "").strip()
    if key.isascii() and (key.isprintable() or not key):
        return key
    raise EngineError(
        f"the key in ${endpoint.api_key_env} holds characters that no key has",
        where="api_key_env",
        hint="copy it again: something else came along",
    )


def wrong_address(url: str) -> str:
    """Why nobody can be asked there; "" if somebody can."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme not in ("http", "https"):
        return "the address does not begin with http:// or https://"
    if not parts.hostname:
        return "the address names no host"
    if any(sign.isspace() or not sign.isprintable() for sign in url):
        return "there is a blank or a control character in the address"
    if parts.username is not None or parts.password is not None:
        return "there is a name or a password in the address"
    if parts.query or parts.fragment:
        return "there is a ? or a # in the address"
    return "" if port != 0 else "there is no port 0"
