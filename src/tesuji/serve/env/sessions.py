"""Sessions on /ws: an environment a socket, so many at most, idle ones ended.

Messages are JSON: `{"type": "reset" | "step" | "state" | "mcp" | "close", "data": {...}}`; each is
answered by `{"type": "observation" | "state" | "mcp" | "error", "data": {...}}`.
"""

import asyncio
import json
import logging
from typing import Any

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from tesuji.core.errors import TesujiError
from tesuji.core.redact import redact
from tesuji.serve.env import json_rpc
from tesuji.serve.env.environment import Environment
from tesuji.serve.env.messages import Action, ResetArguments
from tesuji.serve.env.offer import Offer

log = logging.getLogger(__name__)
MOST = 256
IDLE_S = 900.0


class Sessions:
    """All open sessions of a server."""

    def __init__(self, offer: Offer, *, most: int = MOST, idle_s: float = IDLE_S) -> None:
        self.offer, self.most, self.idle_s = offer, most, idle_s
        self.open = 0

    async def serve(self, socket: WebSocket) -> None:
        """One session, to its end."""
        await socket.accept()
        if self.open >= self.most:
            words = f"{self.open} of {self.most} sessions are open"
            counts = {"active_sessions": self.open, "max_sessions": self.most}
            await _send(socket, _error("CAPACITY_REACHED", words, **counts))
            await socket.close()
            return
        self.open += 1
        try:
            await self._talk(socket, Environment(self.offer))
        except (WebSocketDisconnect, RuntimeError):  # starlette's word for a socket that is closed
            pass
        finally:
            self.open -= 1

    async def _talk(self, socket: WebSocket, environment: Environment) -> None:
        while True:
            try:
                said = await asyncio.wait_for(socket.receive_text(), self.idle_s)
            except TimeoutError:
                words = f"nothing was asked for {self.idle_s:g} seconds"
                await _send(socket, _error("SESSION_ERROR", words))
                await socket.close()
                return
            except KeyError:  # bytes
                await _send(socket, _error("INVALID_JSON", "messages are JSON texts"))
                continue
            answer = await answered(said, environment)
            if answer is None:
                await socket.close()
                return
            await _send(socket, answer)


async def answered(said: str, environment: Environment) -> dict[str, Any] | None:
    """The answer to one message; None where it ends the session."""
    try:
        message = json.loads(said)
    except (ValueError, RecursionError) as error:
        return _error("INVALID_JSON", f"Invalid JSON: {error}")
    if not isinstance(message, dict):
        return _error("VALIDATION_ERROR", "a message is an object with type and data")
    kind, data = message.get("type", ""), message.get("data") or {}
    if kind == "close":
        return None
    try:
        return await _answer(kind, data, environment)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        return _error("VALIDATION_ERROR", "Invalid message", errors=errors)
    except TesujiError as error:
        return _error("EXECUTION_ERROR", redact(str(error)))
    except Exception as error:  # a game's or a player's own fault: told, and the server goes on
        log.exception("a session failed")
        return _error("EXECUTION_ERROR", redact(f"{type(error).__name__}: {error}"))


async def _answer(kind: str, data: Any, environment: Environment) -> dict[str, Any]:
    if kind == "reset":
        asked = ResetArguments.model_validate(data)
        made = await run_in_threadpool(environment.reset, asked)
        return {"type": "observation", "data": made.wire()}
    if kind == "step":
        action = Action.model_validate(data)
        made = await run_in_threadpool(environment.step, action)
        return {"type": "observation", "data": made.wire()}
    if kind == "state":
        return {"type": "state", "data": environment.state.model_dump(mode="json")}
    if kind == "mcp":
        return {"type": "mcp", "data": json_rpc.answer(data)}
    return _error("UNKNOWN_TYPE", f"Unknown message type: {kind}")


def _error(code: str, message: str, **more: Any) -> dict[str, Any]:
    return {"type": "error", "data": {"message": message, "code": code, **more}}


async def _send(socket: WebSocket, what: dict[str, Any]) -> None:
    await socket.send_text(json.dumps(what))
