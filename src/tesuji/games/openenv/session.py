"""A session of an OpenEnv server: one socket on /ws, asked and answered in JSON."""

import json
import weakref
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from tesuji.core.errors import EngineError, first_line
from tesuji.core.redact import redact

LARGEST = 8 << 20  # bytes of one answer
SHOWN = 300  # characters of an error's words


class Lost(Exception):
    """The session is gone, or there was no room for one; a new one may do. `hint`: what to do where
    none does."""

    def __init__(self, words: str, hint: str = "") -> None:
        super().__init__(words)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer: an observation, what was paid for the last action, whether it was the last one."""

    observation: Mapping[str, Any]
    reward: float
    done: bool
    metadata: Mapping[str, Any]


class Session:
    """An open session; closed with `close`, or when nobody holds it any more."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout_s: float) -> None:
        self.url, self.timeout_s = url, timeout_s
        stack = ExitStack()
        self._socket = stack.enter_context(_connected(url, headers, timeout_s))
        self.close = weakref.finalize(self, stack.close)
        """Close it, once."""

    def reset(self, arguments: Mapping[str, Any]) -> Seen:
        """The first observation. Raises Lost, and EngineError for what the server refuses."""
        return self._ask("reset", arguments)

    def step(self, action: Mapping[str, Any]) -> Seen:
        """What follows an action. Raises as `reset` does."""
        return self._ask("step", action)

    def _ask(self, kind: str, data: Mapping[str, Any]) -> Seen:
        from websockets.exceptions import ConnectionClosed, WebSocketException

        try:
            with suppress(ConnectionClosed):  # a server without room says so at once, and closes
                self._socket.send(json.dumps({"type": kind, "data": dict(data)}))
            told = json.loads(self._socket.recv(timeout=self.timeout_s))
        except TimeoutError:
            raise Lost(f"no answer within {self.timeout_s:g} seconds") from None
        except (WebSocketException, OSError) as error:
            raise Lost(_short(first_line(error))) from None
        except (ValueError, RecursionError):
            raise Lost("an answer that is no JSON") from None
        return self._read(told)

    def _read(self, told: Any) -> Seen:
        kind = told.get("type") if isinstance(told, dict) else None
        data = told.get("data") if isinstance(told, dict) else None
        if kind == "error" and isinstance(data, dict):
            raise self._refused(data)
        if kind != "observation" or not isinstance(data, dict):
            raise Lost("an answer that is no observation")
        observation, metadata = data.get("observation"), data.get("metadata")
        if not isinstance(observation, dict):
            raise Lost("an answer without an observation")
        return Seen(
            observation,
            _number(data.get("reward")),
            bool(data.get("done")),
            metadata if isinstance(metadata, dict) else {},
        )

    def _refused(self, data: Mapping[str, Any]) -> Exception:
        code, words = str(data.get("code", "")), _short(str(data.get("message", "")))
        if code == "CAPACITY_REACHED":
            most = data.get("max_sessions", "?")
            hint = f"the server has room for {most}: set the game's option `sessions`"
            return Lost(f"the server has no room for another session: {words}", hint)
        if code in ("SESSION_ERROR", "FACTORY_ERROR"):
            return Lost(words)
        errors = f": {_short(json.dumps(data['errors']))}" if data.get("errors") else ""
        return EngineError(f"the environment says: {words}{errors}", where=self.url)


def _connected(url: str, headers: Mapping[str, str], timeout_s: float) -> Any:
    """The socket, to be entered. Raises Lost, and EngineError for a server that refuses."""
    try:
        from websockets.exceptions import InvalidHandshake, InvalidURI
        from websockets.sync.client import connect
    except ModuleNotFoundError as error:
        hint = "pip install 'tesuji[openenv]'"
        raise EngineError("OpenEnv needs websockets, which is not here", hint=hint) from error
    address = f"{url.replace('http', 'ws', 1)}/ws"
    try:
        return connect(
            address,
            additional_headers=dict(headers),
            open_timeout=timeout_s,
            close_timeout=1,
            max_size=LARGEST,
            ping_interval=None,
        )
    except InvalidHandshake as error:
        status = getattr(getattr(error, "response", None), "status_code", 0)
        if 400 <= status < 500:
            hint = "does it want a key? The option api_key_env names the variable that holds it"
            raise EngineError(f"the server answers {status}", where=url, hint=hint) from None
        raise Lost(_short(first_line(error))) from None
    except (InvalidURI, OSError, TimeoutError) as error:
        raise Lost(_short(first_line(error))) from None


def _number(reward: Any) -> float:
    number = float(reward) if isinstance(reward, int | float) else 0.0
    return number if abs(number) < float("inf") else 0.0


def _short(words: str) -> str:
    line = " ".join(redact(words).split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}..."
