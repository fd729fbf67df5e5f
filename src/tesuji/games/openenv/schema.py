"""What a server says of itself, and which of its fields hold text: that of an observation which a
model is shown, and that of an action which takes the reply."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tesuji.core.errors import EngineError, GameError, first_line
from tesuji.core.redact import redact

SHOWN_FIRST = (
    "text",
    "prompt",
    "observation",
    "message",
    "content",
    "output",
    "response",
    "result",
)
SAID_FIRST = ("move", "message", "text", "action", "response", "answer", "content", "command")
WITHOUT_WORDS = ("metadata", "done", "reward")
LEGAL = "legal_moves"
TIMEOUT_S = 10.0
TRIES = 3
FORGOTTEN_S = 10.0  # after which a server that was not there is asked again


@dataclass(frozen=True, slots=True)
class About:
    """A server: its name and words, and the properties of its schemas."""

    title: str
    rules: str
    observation: Mapping[str, Any]
    action: Mapping[str, Any]
    required: Sequence[str] = ()
    """Fields that an action has to have."""

    @property
    def lists_moves(self) -> bool:
        """Whether observations may name the moves there are."""
        return LEGAL in self.observation

    def text_field(self, wanted: str) -> str:
        """The field that a model is shown; "": the whole observation, as JSON. Raises GameError
        for one that there is not."""
        known = [name for name in self.observation if name not in WITHOUT_WORDS]
        if wanted:
            if known and wanted not in known:
                raise _no_field("text", wanted, known)
            return wanted
        texts = [name for name in known if _is_text(self.observation[name])]
        return _first(SHOWN_FIRST, texts) or (texts[0] if len(texts) == 1 else "")

    def action_field(self, wanted: str) -> str:
        """The field that takes a reply. Raises GameError where there is none, or where an action
        needs other fields as well."""
        known = [name for name in self.action if name not in WITHOUT_WORDS]
        if wanted and wanted not in known:
            raise _no_field("action", wanted, known)
        texts = [name for name in known if _is_text(self.action[name])]
        needed = [name for name in texts if name in self.required]
        alone = needed if len(needed) == 1 else texts if len(texts) == 1 else []
        found = wanted or "".join(alone) or _first(SAID_FIRST, texts)
        also = [name for name in self.required if name != found and name not in WITHOUT_WORDS]
        if not found or also:
            what = f"an action needs {', '.join(also)} as well" if also else "no action is a text"
            raise GameError(
                f"{self.title} is no text environment: {what}",
                where="game.options.action",
                hint=f"fields of an action: {', '.join(known) or 'none'}",
            )
        return found


_KNOWN: dict[str, About] = {}
_GONE: dict[str, tuple[float, EngineError]] = {}


def about(url: str, headers: Mapping[str, str]) -> About:
    """What the server at `url` says of itself, asked once. Raises EngineError where it does not
    answer, or is no OpenEnv environment."""
    at, error = _GONE.get(url, (-FORGOTTEN_S, None))
    if error is not None and time.monotonic() - at < FORGOTTEN_S:
        raise error
    if url not in _KNOWN:
        try:
            _KNOWN[url] = _ask(url, headers)
        except EngineError as failed:
            _GONE[url] = time.monotonic(), failed
            raise
    return _KNOWN[url]


def _ask(url: str, headers: Mapping[str, str]) -> About:
    schema, told = _get(f"{url}/schema", headers), _get(f"{url}/metadata", headers)
    action, observation = schema.get("action"), schema.get("observation")
    if not isinstance(action, dict) or not isinstance(observation, dict):
        raise _no_environment(url, "its /schema describes no action and no observation")
    words = told.get("readme_content") or told.get("description") or ""
    required = action.get("required", [])
    return About(
        str(told.get("name") or url),
        str(words),
        _mapping(observation.get("properties")),
        _mapping(action.get("properties")),
        [str(name) for name in required] if isinstance(required, list) else [],
    )


def _get(address: str, headers: Mapping[str, str]) -> dict[str, Any]:
    try:
        import httpx
    except ModuleNotFoundError as error:
        hint = "pip install 'tesuji[openenv]'"
        raise EngineError("OpenEnv needs httpx, which is not here", hint=hint) from error
    why = ""
    for number in range(TRIES):
        try:
            answer = httpx.get(address, headers=dict(headers), timeout=TIMEOUT_S)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = first_line(error)
        else:
            if answer.status_code == 200:
                return _object(answer, address)
            why = f"status {answer.status_code}"
            if answer.status_code < 500:
                break
        time.sleep(0.25 * number)
    raise _no_environment(address, redact(why))


def _object(answer: Any, address: str) -> dict[str, Any]:
    try:
        told = answer.json()
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise _no_environment(address, "what it answers is no JSON object")
    return told


def _no_environment(address: str, why: str) -> EngineError:
    hint = "is the server up, and is it one of OpenEnv? `openenv validate --url` tells"
    what = f"no OpenEnv environment answers at {address}: {why}"
    return EngineError(what, where="game.name", hint=hint)


def _no_field(option: str, wanted: str, known: list[str]) -> GameError:
    return GameError(
        f"there is no field {wanted!r}",
        where=f"game.options.{option}",
        hint=f"there are: {', '.join(known) or 'none'}",
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_text(schema: Any) -> bool:
    """Whether a field is a text, or a text or nothing."""
    if not isinstance(schema, dict):
        return False
    several = schema.get("anyOf")
    if isinstance(several, list):
        return any(map(_is_text, several))
    return schema.get("type") == "string"


def _first(wanted: Sequence[str], among: Sequence[str]) -> str:
    return next((name for name in wanted if name in among), "")
