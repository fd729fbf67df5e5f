"""A game as an OpenEnv environment.

    GET  /health  /metadata  /schema  /state
    POST /reset  /step  /mcp
    WS   /ws

Sessions live on /ws. What HTTP offers has no memory, as with OpenEnv's own servers: each /reset,
/step and /state is an environment of its own; a step there is the first one of a match with the
default arguments.
"""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from tesuji.core.errors import TesujiError
from tesuji.core.redact import redact
from tesuji.serve.env import json_rpc
from tesuji.serve.env.environment import Environment
from tesuji.serve.env.guard import Guard
from tesuji.serve.env.messages import (
    Action,
    Answer,
    Observation,
    ResetArguments,
    ResetRequest,
    State,
    StepRequest,
)
from tesuji.serve.env.offer import Offer
from tesuji.serve.env.sessions import IDLE_S, MOST, Sessions


def make_app(
    offer: Offer,
    *,
    host: str = "127.0.0.1",
    key: str | None = None,
    most: int = MOST,
    idle_s: float = IDLE_S,
) -> FastAPI:
    """The application: at most `most` sessions at once, each ended after `idle_s` seconds in which
    nothing is asked."""
    app = FastAPI(
        title=f"Tesuji: {offer.game.name}",
        version=version("tesuji"),
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(Guard, host=host, key=key)
    app.exception_handler(TesujiError)(_not_possible)
    app.exception_handler(ValidationError)(_not_valid)
    routes = Routes(offer)
    sessions = Sessions(offer, most=most, idle_s=idle_s)
    for path in ("health", "metadata", "schema", "state"):
        app.get(f"/{path}")(getattr(routes, path))
    for path in ("reset", "step", "mcp"):
        app.post(f"/{path}")(getattr(routes, path))

    @app.websocket("/ws")
    async def ws(socket: WebSocket) -> None:
        await sessions.serve(socket)

    app.state.sessions = sessions
    return app


class Routes:
    """What each address answers."""

    def __init__(self, offer: Offer) -> None:
        self.offer = offer

    async def health(self) -> dict[str, str]:
        """That it lives."""
        return {"status": "healthy"}

    async def metadata(self) -> dict[str, Any]:
        """What this environment is."""
        game = self.offer.game
        about = {"name": game.name, "description": f"{game.info.title}, served by Tesuji."}
        return {**about, "readme_content": game.rules, "version": version("tesuji")}

    async def schema(self) -> dict[str, Any]:
        """What actions, observations, the state and the arguments of a reset look like."""
        return {
            "action": Action.model_json_schema(),
            "observation": Observation.model_json_schema(),
            "state": State.model_json_schema(),
        }

    async def reset(self, asked: ResetRequest | None = None) -> Answer:
        """A match of its own, begun."""
        arguments = ResetArguments.model_validate(asked.model_dump() if asked else {})
        return await run_in_threadpool(Environment(self.offer).reset, arguments)

    async def step(self, asked: StepRequest) -> Answer:
        """A match of its own, begun with the default arguments, after its first move."""
        environment = Environment(self.offer)
        await run_in_threadpool(environment.reset, ResetArguments())
        return await run_in_threadpool(environment.step, asked.action)

    async def state(self) -> State:
        """An environment before its first reset."""
        return Environment(self.offer).state

    async def mcp(self, request: Request) -> dict[str, Any]:
        """JSON-RPC."""
        try:
            asked = await request.json()
        except (ValueError, RecursionError):
            return json_rpc.problem(None, json_rpc.NO_JSON, "not JSON")
        return json_rpc.answer(asked)


async def _not_possible(request: Request, error: Exception) -> Response:
    return JSONResponse({"detail": redact(str(error))}, 400)


async def _not_valid(request: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    return JSONResponse({"detail": errors}, 422)
