"""A trained model behind the OpenAI dialect.

    GET  /health   /v1/models
    POST /v1/chat/completions   /v1/completions

and the same under /openapi, with and without /v1, where Kaggle's harness looks. Prompts are
rendered and cut, and replies drawn, as the recipe says for the player: with the same messages and
seed the reply is the player's.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from tesuji.core.errors import EndpointError, TesujiError
from tesuji.core.redact import redact
from tesuji.core.types import Sampled
from tesuji.games.base import Game
from tesuji.players.model import ModelPlayer
from tesuji.players.prompting.chat_template import decode_reply, render_prompt
from tesuji.serve.model.choices import choices_of
from tesuji.serve.model.dialect import Answer, Asked, AskedChat, AskedText, problem, usage
from tesuji.serve.model.engine import Ask, Busy, Engine, Ticket
from tesuji.serve.model.guard import Guard

DEFAULT_NAMES = ("", "default")
HALF_CHARACTER = "\ufffd"
LOOK = 0.5  # seconds between looks at whether the one who asked is still there
WRONG = "invalid_request_error"


@dataclass(frozen=True, slots=True)
class Offer:
    """What is served."""

    name: str
    player: ModelPlayer
    game: Game
    created: int = 0


def make_app(offer: Offer, *, host: str = "127.0.0.1", key: str | None = None) -> FastAPI:
    """The application; its engine runs from the first request to the server's end."""
    engine = Engine(offer.player.sampler)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(engine.close)

    app = FastAPI(title="Tesuji", docs_url=None, redoc_url=None, openapi_url=None, lifespan=life)
    app.middleware("http")(Guard(host, key))
    app.exception_handler(RequestValidationError)(_not_valid)
    app.exception_handler(HTTPException)(_refused)
    app.exception_handler(TesujiError)(_not_possible)
    app.exception_handler(EndpointError)(_gone)
    app.exception_handler(Busy)(_busy)
    routes = Routes(offer, engine)
    for front in ("", "/openapi"):
        app.get(f"{front}/health")(routes.health)
    for front in ("/v1", "/openapi/v1", "/openapi"):
        app.get(f"{front}/models")(routes.models)
        app.get(front + "/models/{name:path}")(routes.model)
        app.post(f"{front}/chat/completions")(routes.chat)
        app.post(f"{front}/completions")(routes.text)
    app.state.engine = engine
    return app


class Routes:
    """What each address answers."""

    def __init__(self, offer: Offer, engine: Engine) -> None:
        self.offer, self.engine, self.player = offer, engine, offer.player

    async def health(self) -> dict[str, str]:
        """That it lives."""
        return {"status": "ok"}

    async def models(self) -> dict[str, Any]:
        """The one model."""
        return {"object": "list", "data": [self._model()]}

    async def model(self, name: str) -> Any:
        """The one model, by its name."""
        return self._model() if name == self.offer.name else self._unknown(name)

    async def chat(self, asked: AskedChat, request: Request) -> Response:
        """A reply to a conversation."""
        messages: list[Any] = [said.plain() for said in asked.messages]
        thinking = self.player.prompt.enable_thinking
        try:
            ids = render_prompt(self.player.tokenizer, messages, enable_thinking=thinking)
        except Exception as error:  # a template raises whatever it likes at turns it does not know
            why = f"the chat template does not take these messages: {redact(str(error))[:200]}"
            return JSONResponse(problem(why, WRONG, param="messages"), 400)
        most = asked.max_completion_tokens or asked.max_tokens
        return await self._answer(asked, request, [ids], most, chat=True)

    async def text(self, asked: AskedText, request: Request) -> Response:
        """What comes after a text."""
        given = asked.prompt
        several: list[Any] = given if _is_several(given) else [given]  # type: ignore[assignment]
        prompts = [self._tokens(one) for one in several]
        return await self._answer(asked, request, prompts, asked.max_tokens, chat=False)

    def _tokens(self, text: str | list[int]) -> list[int]:
        if isinstance(text, str):
            return list(self.player.tokenizer(text)["input_ids"])
        most = len(self.player.tokenizer)
        return [min(max(0, token), most - 1) for token in text]

    async def _answer(
        self,
        asked: Asked,
        request: Request,
        prompts: Sequence[list[int]],
        most: int | None,
        *,
        chat: bool,
    ) -> Response:
        if asked.model not in (*DEFAULT_NAMES, self.offer.name):
            return self._unknown(asked.model)
        choices = choices_of(asked, self.player, self.offer.game)
        asks = [
            self._ask(asked, ids, most, choices, number)
            for ids in prompts
            for number in range(asked.n or 1)
        ]
        tickets = self._submit(asks)
        answer = Answer(self.offer.name, chat=chat)
        if asked.stream:
            usage_too = asked.stream_options is not None and asked.stream_options.include_usage
            lines = self._stream(tickets, asked, answer, usage_too)
            return StreamingResponse(lines, media_type="text/event-stream")
        try:
            replies = await _all(tickets, request)
        finally:
            _cancel(tickets)
        texts = [self._text(reply, asked) for reply in replies]
        used = usage(sum(map(len, prompts)), sum(len(reply.reply_ids) for reply in replies))
        return JSONResponse(answer.whole(texts, used))

    def _ask(
        self, asked: Asked, ids: list[int], most: int | None, choices: Any, number: int
    ) -> Ask:
        sampling, cut = self.player.sampling, self.player.prompt.max_length
        seed = random.getrandbits(63) if asked.seed is None else asked.seed
        prompt = tuple(ids[-cut:] if cut else ids)
        return Ask(
            prompt,
            sampling.temperature if asked.temperature is None else asked.temperature,
            sampling.top_p if asked.top_p is None else asked.top_p,
            self._fitting(most or sampling.max_new_tokens, prompt),
            seed + number,
            choices,
            self._stops(asked.stop),
        )

    def _fitting(self, most: int, prompt: Sequence[int]) -> int:
        """Not more than the model's context has room for: some harnesses ask for 65,536 tokens of
        whatever model. A prompt that leaves no room at all is refused later on."""
        longest = getattr(self.player.sampler, "longest", None)
        return min(most, max(1, longest - len(prompt))) if longest else most

    def _stops(self, texts: list[str] | None) -> Callable[[Sequence[int]], bool]:
        if not texts:
            return lambda ids: False
        return lambda ids: any(text in decode_reply(self.player.tokenizer, ids) for text in texts)

    def _submit(self, asks: list[Ask]) -> list[Ticket]:
        tickets: list[Ticket] = []
        try:
            for ask in asks:
                tickets.append(self.engine.submit(ask))
        except (Busy, TesujiError):
            _cancel(tickets)
            raise
        return tickets

    def _text(self, reply: Sampled, asked: Asked) -> tuple[str, str]:
        """The text, cut before what it was to stop at, and why it ends."""
        text = decode_reply(self.player.tokenizer, reply.reply_ids)
        ends = [text.index(stop) for stop in asked.stop or [] if stop in text]
        if ends:
            return text[: min(ends)], "stop"
        return text, "stop" if reply.stopped else "length"

    async def _stream(
        self, tickets: list[Ticket], asked: Asked, answer: Answer, usage_too: bool
    ) -> AsyncIterator[str]:
        """Server-sent events; closed before the end, nothing more is drawn."""
        try:
            drawn = 0
            for index, ticket in enumerate(tickets):
                if answer.chat:
                    yield _event(answer.chunk(index, None))
                async for text, reason, tokens in self._pieces(ticket, asked):
                    drawn += tokens
                    if text:
                        yield _event(answer.chunk(index, text))
                    if reason:
                        yield _event(answer.chunk(index, None, reason))
            if usage_too:
                read = sum(len(ticket.ask.prompt) for ticket in tickets)
                yield _event(answer.last(usage(read, drawn)))
            yield "data: [DONE]\n\n"
        except TesujiError as error:
            yield _event(problem(redact(str(error)), "server_error"))
        finally:
            _cancel(tickets)

    async def _pieces(self, ticket: Ticket, asked: Asked) -> AsyncIterator[tuple[str, str, int]]:
        """(new text, why it ends or nothing, tokens drawn where it ends). What may be the beginning
        of a stop text is held back until it is known not to be."""
        sent, hold = "", max((len(stop) - 1 for stop in asked.stop or []), default=0)
        while not isinstance(news := await ticket.news.get(), Sampled):
            if isinstance(news, Exception):
                raise news
            text = decode_reply(self.player.tokenizer, news)
            ready = text[: len(text) - hold] if hold else text
            if not ready.endswith(HALF_CHARACTER) and len(ready) > len(sent):
                sent, piece = ready, ready[len(sent) :]
                yield piece, "", 0
        text, reason = self._text(news, asked)
        yield text[len(sent) :], reason, len(news.reply_ids)

    def _model(self) -> dict[str, Any]:
        created = {"object": "model", "created": self.offer.created, "owned_by": "tesuji"}
        return {"id": self.offer.name, **created}

    def _unknown(self, name: str) -> Response:
        why = f"the model {name!r} is not here; it is called {self.offer.name!r}"
        return JSONResponse(problem(why, WRONG, "model_not_found", "model"), 404)


def _is_several(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and not isinstance(given[0], int)


async def _all(tickets: list[Ticket], request: Request) -> list[Sampled]:
    """The replies; where the one who asked has left, none is drawn any further."""
    replies = []
    for ticket in tickets:
        while True:
            try:
                news = await asyncio.wait_for(ticket.news.get(), LOOK)
            except TimeoutError:
                if await request.is_disconnected():
                    raise asyncio.CancelledError from None
                continue
            if isinstance(news, Exception):
                raise news
            if isinstance(news, Sampled):
                break
        replies.append(news)
    return replies


def _cancel(tickets: list[Ticket]) -> None:
    for ticket in tickets:
        ticket.cancelled = True


def _event(what: dict[str, Any]) -> str:
    return f"data: {json.dumps(what)}\n\n"


async def _not_valid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    return JSONResponse(problem(f"{place}: {first['msg']}", WRONG, param=place or None), 400)


async def _refused(request: Request, error: Exception) -> Response:
    """What FastAPI itself refuses: a body that cannot be read, an address that is not there."""
    assert isinstance(error, HTTPException)
    return JSONResponse(problem(error.detail, WRONG), error.status_code, headers=error.headers)


async def _not_possible(request: Request, error: Exception) -> Response:
    code = "context_length_exceeded" if "exceed the model's" in str(error) else None
    return JSONResponse(problem(redact(str(error)), WRONG, code), 400)


async def _gone(request: Request, error: Exception) -> Response:
    """No vLLM server answers: not the fault of who asks."""
    return JSONResponse(problem(redact(str(error)), "server_error"), 503)


async def _busy(request: Request, error: Exception) -> Response:
    body = problem("too many requests wait already", "rate_limit_error", "rate_limit_exceeded")
    return JSONResponse(body, 429, headers={"Retry-After": "1"})
