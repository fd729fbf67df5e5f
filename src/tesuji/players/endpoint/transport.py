"""One chat completion asked for over HTTP, once, by the `openai` client.

The key goes into the header of the request and nowhere else: not into a message, not to where a
redirect points; where an answer repeats it, it is cut out.
"""

import asyncio
import email.utils
import functools
import json
import os
import threading
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tesuji.core.errors import EndpointError, EngineError
from tesuji.core.redact import MARK, redact
from tesuji.core.types import Message
from tesuji.players.endpoint.address import key_in_environment
from tesuji.players.endpoint.budget import Purse
from tesuji.players.prompting.tool_prompt import in_plain_words
from tesuji.recipe.schema.endpoint import EndpointSection

LARGEST = 1_000_000  # bytes of an answer that are read
SHOWN = 300  # characters of an error's words that are printed
NOT_IN_TIME = "timed out: the answer did not come to an end in time"
HOPELESS = (401, 402, 403, 404)  # the key, the account, the place or the model: none will help
BUSY = (408, 409, 425, 429)
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Completion:
    """What an answer holds. `content` is whatever stands in its place, `usage` the tokens (read,
    written), `model` who says to have answered."""

    content: Any
    reasoning: str = ""
    cut: bool = False
    usage: tuple[int, int] | None = None
    model: str = ""


class NoReply(Exception):
    """No answer that is of use. `final`: not worth asking again; `wait_s`: the server's wish."""

    def __init__(self, words: str, *, final: bool = False, wait_s: float = 0.0) -> None:
        super().__init__(words)
        self.final, self.wait_s = final, wait_s


class NoAnswer(NoReply):
    """Nothing came, or only the word that the server is out of order."""


class NoText(NoReply):
    """An answer came, but what it says is of no use."""


class Hopeless(NoReply):
    """Nobody will get an answer."""


class Transport:
    """The connections to one endpoint. `where` is the recipe's key for messages. Raises EngineError
    where the client is not installed or the key cannot be one."""

    def __init__(self, section: EndpointSection, where: str) -> None:
        self.section, self.where = section, where
        self.key = key_in_environment(section)
        self.purse = Purse(section, where)
        self._client = _client(section, self.key, where)

    async def ask(self, messages: Sequence[Message], seed: int | None = None) -> Completion:
        """The completion. Raises NoReply where there is none, EndpointError where the budget does
        not allow the request."""
        import httpx2
        import openai

        worst = self.purse.worst(messages)
        await self.purse.take(worst)
        usage, billed = None, True
        try:
            completion = completion_in(await self._body(messages, seed))
            usage = completion.usage
            return completion
        except openai.APIStatusError as error:
            billed = False
            raise self._refused(error) from None
        except openai.APIConnectionError as error:
            billed = not isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)
            raise NoAnswer(_words(error)) from None
        except TimeoutError:
            raise NoAnswer(NOT_IN_TIME) from None
        except (httpx2.HTTPError, openai.APIError) as error:
            raise NoAnswer(_words(error)) from None
        finally:
            self.purse.settle(worst, usage, billed=billed)

    async def _body(self, messages: Sequence[Message], seed: int | None) -> bytes:
        """The body of one answer; read in pieces, since a broken server may send without end, and
        in time as a whole: httpx bounds only the wait for the next byte."""
        body = bytearray()
        create = self._client.chat.completions.with_streaming_response.create
        async with (
            asyncio.timeout(self.section.timeout_s),
            create(**self._request(messages, seed)) as response,
        ):
            async for piece in response.iter_bytes():
                body += piece
                if len(body) > LARGEST:
                    raise NoText(f"an answer of more than {LARGEST:,} bytes")
        return bytes(body)

    def _request(self, messages: Sequence[Message], seed: int | None) -> dict[str, Any]:
        section = self.section
        optional = {
            "temperature": section.temperature,
            "seed": seed,
            "extra_body": section.extra_body or None,
        }
        return {
            "model": section.model,
            "messages": in_plain_words(messages),
            section.limit_name: section.max_tokens,
            **{name: value for name, value in optional.items() if value is not None},
        }

    def _refused(self, error: Any) -> NoReply:
        """What an answer with an error status means: for this question, or for all."""
        status, words = error.status_code, _words(error)
        if status in HOPELESS or error.code == "insufficient_quota":
            return Hopeless(words)
        if status in BUSY or status >= 500:
            return NoAnswer(words, wait_s=wait_wanted(error.response.headers.get("retry-after")))
        return NoText(words, final=True)

    def cleaned(self, text: str) -> str:
        """The text without the key: some servers say what they were asked with."""
        return redact(text.replace(self.key, MARK) if self.key else text)

    def give_up(self, what: str, problem: str) -> EndpointError:
        """The error that stops the run; `what` is what there is none of, in words."""
        line = " ".join(self.cleaned(problem).split())
        shown = line if len(line) <= SHOWN else f"{line[:SHOWN]}..."
        key = f"${self.section.api_key_env}{'' if self.key else ' (which is not set)'}"
        return EndpointError(
            f"{what}: {shown}",
            where=self.where,
            hint=f"check base_url, model and {key}; what was answered before is kept, and the "
            "same command goes on from there",
        )

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.close()


def completion_in(body: bytes) -> Completion:
    """The completion in the body of an answer. Raises NoText, saying what is there."""
    try:
        whole = json.loads(body)
        choice = whole["choices"][0]
        message = choice["message"]
        return Completion(
            message.get("content"),
            _first_text(message.get("reasoning_content"), message.get("reasoning")),
            choice.get("finish_reason") == "length",
            _usage(whole.get("usage")),
            _first_text(whole.get("model")),
        )
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
        start = body[:200].decode("utf-8", errors="replace")
        raise NoText(f"an answer that is no chat completion: {start}") from None


def _first_text(*values: Any) -> str:
    return next((value for value in values if isinstance(value, str)), "")


def _usage(usage: Any) -> tuple[int, int] | None:
    if not isinstance(usage, dict):
        return None
    read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
    known = all(isinstance(count, int) and 0 <= count < 2**31 for count in (read, written))
    return (read, written) if known else None  # type: ignore[return-value]


def wait_wanted(header: str | None) -> float:
    """Seconds that a `Retry-After` asks for: a number, or a date (RFC 9110, 10.2.3); 0 where there
    is none, or nothing that could be one."""
    try:
        seconds = float(header or 0)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header or "").timestamp() - time.time()
        except ValueError:
            return 0.0
    return seconds if 0 < seconds < float("inf") else 0.0


def _client(section: EndpointSection, key: str, where: str) -> Any:
    try:
        import openai
    except ImportError as error:
        raise EngineError(
            "the openai client is not installed", where=where, hint="pip install 'tesuji[llm]'"
        ) from error
    return openai.AsyncOpenAI(
        base_url=section.base_url,
        api_key=key or "none",
        timeout=section.timeout_s,
        max_retries=0,  # each request is paid for: asking again is for who counts
        http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False),
    )


def _words(error: Exception) -> str:
    """What an error says, and what lies behind it: "Connection error" alone explains little."""
    words, cause = str(error).strip() or type(error).__name__, str(error.__cause__ or "").strip()
    return f"{words.rstrip('.')}: {cause}" if cause and cause not in words else words


def wait_for(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, done in a thread that keeps connections open between calls. It works
    where an event loop runs already (a notebook), too; Ctrl-C ends it."""
    future = asyncio.run_coroutine_threadsafe(work, _loop(os.getpid()))
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


@functools.cache
def _loop(process: int) -> asyncio.AbstractEventLoop:
    """The loop of this process: a thread does not survive a fork."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="endpoints", daemon=True).start()
    return loop
