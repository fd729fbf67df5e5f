"""Options of an OpenEnv environment as a game: a few of ours, all others are arguments of its
reset."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import Field

from tesuji.games.options import Options, read_options


class OpenEnvOptions(Options):
    """What is ours."""

    text: str = ""
    """Field of the observation that a model is shown; default: found in the server's schema."""
    action: str = ""
    """Field of the action that takes the reply; default: found in the server's schema."""
    best: float | None = None
    """The most that a match can pay; a match that pays it is won. Default: nothing is won."""
    sessions: int = Field(256, ge=1, le=1_000_000)
    """Most matches at once: servers have room for so many sessions, OpenEnv's own often for one."""
    timeout_s: float = Field(60.0, gt=0, le=86_400)
    """Seconds for one answer."""
    retries: int = Field(4, ge=0, le=100)
    """How often a session is opened anew, and the match played again up to where it was."""
    api_key_env: str = "OPENENV_API_KEY"
    """Environment variable with a key, which is sent as a bearer token; it may be empty."""


Ours = TypeVar("Ours", bound=OpenEnvOptions)


def split_options(
    name: str, options: Mapping[str, Any], kind: type[Ours]
) -> tuple[Ours, dict[str, Any]]:
    """(ours, which are of this kind, and all others). Raises GameError for a value that cannot
    be."""
    known = kind.model_fields
    ours = {key: value for key, value in options.items() if key in known}
    theirs = {key: value for key, value in options.items() if key not in known}
    return read_options(kind, name, ours), theirs
