"""Thoughts written by a language model behind any OpenAI-compatible endpoint.

The `openai` client does the asking: at most `concurrency` requests at once, failed ones tried
again after a growing wait (429, 5xx, time-outs, lost connections), and so are answers that hold
no thought. Every thought goes into a small SQLite file at once, so that a killed run asks for
nothing twice. The key comes from the environment and goes nowhere else: not into the file, not
into a message, not to where a redirect points.
"""

import asyncio
import json
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tesuji.core.errors import EngineError
from tesuji.core.files import unwritable
from tesuji.core.progress import SILENT, Progress
from tesuji.core.redact import MARK, redact
from tesuji.core.run_folder import key_of
from tesuji.core.types import Message, Move
from tesuji.games.base import Game, Match
from tesuji.recipe.schema.data import EndpointSection

SHOWN = 300  # characters of an error's words that are printed
LONGEST = 600  # characters of a thought that are kept
LARGEST = 1_000_000  # bytes of an answer that are read
GIVE_UP_AFTER = 8  # questions in a row without an answer mean that the endpoint is not there
MOST_MISSING = 0.2  # share of questions that may stay without a thought
WAIT, LONGEST_WAIT = 0.25, 8.0  # seconds before asking again after an answer without a thought
DUE = "tesuji_due"  # where a response says until when its body must be there, in loop time
NOT_IN_TIME = "the answer did not come to an end in time"

Question = tuple[Message, ...]  # the messages, as the endpoint gets them


def thought_question(game: Game, match: Match, seat: int, move: Move) -> Question:
    """Ask why `move` is right for `seat`, in a sentence or two."""
    text = (
        f"{game.rules}\n\nPosition:\n{match.observe(seat)}\n\nYou are {match.role(seat)} and have "
        f"decided to play {move.text}. Say in one or two short sentences what this move does. "
        "Speak in the first person, name no other move, and state only what is true of the board."
    )
    return (Message(role="user", content=text),)


def write_thoughts(
    questions: Sequence[Question],
    endpoint: EndpointSection,
    cache: Path,
    progress: Progress = SILENT,
) -> list[str | None]:
    """One thought a question, in order; None where the endpoint gave none after all retries.

    Raises EngineError when the endpoint gives none at all, goes away in the middle, or leaves
    more than a fifth of the questions without one; DataError when the cache cannot be written.
    """
    keys = [_key(question, endpoint) for question in questions]
    with _Cache.opened(cache) as kept:
        known = kept.known(keys)
        missing = {k: q for k, q in zip(keys, questions, strict=True) if k not in known}
        progress.update(len(keys) - len(missing))
        if missing:
            work = _Work(endpoint, kept, progress, len(keys) - len(missing), len(missing))
            asyncio.run(work.ask_all(missing))
            known |= work.thoughts
    return [known.get(key) for key in keys]


def tidy(answer: Any) -> str:
    """The thought in an answer: no `<think>` block, one line, cut at a sentence; "" if none."""
    if not isinstance(answer, str):
        return ""
    text = re.sub(r"<think>.*?(</think>|$)", " ", answer[:50_000], flags=re.DOTALL)
    text = " ".join(re.sub(r"</?think>", " ", text).split())
    text = re.sub("[\ud800-\udfff]", "\ufffd", text)  # half a character: no file can hold it
    if len(text) <= LONGEST:
        return text
    cut = text[:LONGEST]
    end = max(cut.rfind(mark) for mark in ".!?")
    return cut[: end + 1] if end > 0 else ""


def _key(question: Question, endpoint: EndpointSection) -> str:
    return key_of(question, endpoint.model, endpoint.temperature, endpoint.max_tokens)


class _NoThought(Exception):
    """An answer came, but what it says is not a thought."""


class _NoAnswer(Exception):
    """Nothing came, or only the word that the server is out of order."""


class _Work:
    """One round of asking; `found` fills up as answers come.

    `done` questions were answered in earlier rounds, `missing` are asked in this one.
    """

    def __init__(
        self,
        endpoint: EndpointSection,
        cache: "_Cache",
        progress: Progress,
        done: int,
        missing: int,
    ) -> None:
        self.endpoint, self.cache, self.progress = endpoint, cache, progress
        self.done, self.ever_answered = done, done > 0
        self.patience = GIVE_UP_AFTER if done else min(GIVE_UP_AFTER, missing)
        self.bearable = max(GIVE_UP_AFTER, int(MOST_MISSING * (done + missing)))
        self.without, self.failed_in_a_row = 0, 0
        self.end: EngineError | None = None  # why nothing more is asked
        self.thoughts: dict[str, str] = {}
        self.places = asyncio.Semaphore(endpoint.concurrency)

    async def ask_all(self, questions: dict[str, Question]) -> None:
        """Ask everything. After the first hopeless failure nothing more is asked, but what is
        under way comes to its end: it is paid for."""
        try:
            async with _client(self.endpoint) as client, asyncio.TaskGroup() as group:
                for key, question in questions.items():
                    group.create_task(self._one(client, key, question))
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        if self.end:
            raise self.end

    async def _one(self, client: Any, key: str, question: Question) -> None:
        async with self.places:
            if self.end:
                return
            try:
                self._keep(key, await self._thought(client, question))
            except (_NoThought, _NoAnswer) as error:
                self._do_without(error)
            except EngineError as error:
                self.end = self.end or error
        self.done += 1
        self.progress.update(self.done)

    def _keep(self, key: str, thought: str) -> None:
        self.thoughts[key] = thought
        self.cache.keep(key, thought)
        self.ever_answered, self.failed_in_a_row = True, 0

    def _do_without(self, error: Exception) -> None:
        """Count it. A server once known to answer may refuse single questions, again and again
        (a content filter): only silence in a row, or too many in all, is the end."""
        self.without += 1
        if isinstance(error, _NoAnswer) or not self.ever_answered:
            self.failed_in_a_row += 1
        if self.failed_in_a_row >= self.patience or self.without > self.bearable:
            self.end = self.end or self._hopeless(str(error))

    async def _thought(self, client: Any, question: Question) -> str:
        """The thought. Raises _NoThought or _NoAnswer after all retries."""
        import httpx2
        import openai

        failure: Exception = _NoAnswer()
        for attempt in range(self.endpoint.retries + 1):
            if self.end:
                break
            if attempt:
                await asyncio.sleep(min(WAIT * 2**attempt, LONGEST_WAIT))
            try:
                return thought_in(await self._answer(client, question))
            except openai.APIStatusError as error:  # the client has tried again already
                raise self._refused(error) from None
            except openai.APIError as error:
                raise _NoAnswer(_words(error)) from None
            except TimeoutError:
                failure = _NoAnswer(NOT_IN_TIME)
            except httpx2.HTTPError as error:
                failure = _NoAnswer(_words(error))
            except _NoThought as error:
                failure = error
        raise failure

    def _refused(self, error: Any) -> Exception:
        """What an answer with an error status means: for this question, or for all."""
        if error.status_code in (401, 403, 404):  # the key, or the place: nothing will help
            return self._hopeless(_words(error))
        busy = error.status_code in (408, 409, 429) or error.status_code >= 500
        return _NoAnswer(_words(error)) if busy else _NoThought(_words(error))

    async def _answer(self, client: Any, question: Question) -> bytes:
        """The body of one answer; read in pieces, since a broken server may send without end."""
        request = client.chat.completions.with_streaming_response.create(
            model=self.endpoint.model,
            messages=list(question),
            temperature=self.endpoint.temperature,
            max_tokens=self.endpoint.max_tokens,
        )
        body = bytearray()
        async with request as response, asyncio.timeout_at(response.http_response.extensions[DUE]):
            async for piece in response.iter_bytes():
                body += piece
                if len(body) > LARGEST:
                    raise _NoThought(f"an answer of more than {LARGEST:,} bytes")
        return bytes(body)

    def _hopeless(self, problem: str) -> EngineError:
        key = _api_key(self.endpoint)
        words = redact(problem.replace(key, MARK) if key else problem)
        return EngineError(
            f"no thoughts from {redact(self.endpoint.base_url)}"
            f"{f' to {self.without} questions' if self.without > 1 else ''}: {_shortened(words)}",
            where="stages.data.endpoint",
            hint=f"check base_url, model and ${self.endpoint.api_key_env}; what was answered "
            "before is kept, and the same command goes on from there",
        )


def thought_in(body: bytes) -> str:
    """The thought in the body of a chat completion. Raises _NoThought, saying what is there."""
    try:
        choice = json.loads(body)["choices"][0]
        content, ending = choice["message"]["content"], choice.get("finish_reason")
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
        start = body[:200].decode("utf-8", errors="replace")
        raise _NoThought(f"an answer that is no chat completion: {start}") from None
    if thought := redact(tidy(content)):  # some say the key that they were asked with
        return thought
    cut = "; the model was still thinking at max_tokens" if ending == "length" else ""
    raise _NoThought(f"an answer without a text{cut}")


def _client(endpoint: EndpointSection) -> Any:
    try:
        import openai
    except ImportError as error:
        raise EngineError(
            "the openai client is not installed",
            where="stages.data.thoughts",
            hint="pip install 'tesuji[llm]', or use `thoughts: template`",
        ) from error
    import httpx2

    class Bounded(openai.DefaultAsyncHttpxClient):
        """Bounds each request as a whole: httpx bounds only the wait for the next byte."""

        async def send(self, request: Any, **options: Any) -> Any:
            due = asyncio.get_running_loop().time() + endpoint.timeout_s
            try:
                async with asyncio.timeout_at(due):
                    response = await super().send(request, **options)
            except TimeoutError as error:
                raise httpx2.ReadTimeout(NOT_IN_TIME, request=request) from error
            response.extensions[DUE] = due
            return response

    return openai.AsyncOpenAI(
        base_url=endpoint.base_url,
        api_key=_api_key(endpoint) or "none",
        timeout=endpoint.timeout_s,
        max_retries=endpoint.retries,
        http_client=Bounded(follow_redirects=False),
    )


def _api_key(endpoint: EndpointSection) -> str:
    """The key, or "" where there is none. Raises EngineError for one no header can carry."""
    key = os.environ.get(endpoint.api_key_env, "").strip()
    if key.isascii() and (key.isprintable() or not key):
        return key
    raise EngineError(
        f"the key in ${endpoint.api_key_env} holds characters that no key has",
        where="stages.data.endpoint.api_key_env",
        hint="copy it again: something else came along",
    )


def _words(error: Exception) -> str:
    """What an error says, and what lies behind it: "Connection error" alone explains little."""
    words, cause = str(error).strip() or type(error).__name__, str(error.__cause__ or "").strip()
    return f"{words.rstrip('.')}: {cause}" if cause and cause not in words else words


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}..."


class _Cache:
    """Answers on disk, one row each, written as they come."""

    def __init__(self, base: sqlite3.Connection, path: Path) -> None:
        self.base, self.path = base, path
        self._do("CREATE TABLE IF NOT EXISTS thoughts (key TEXT PRIMARY KEY, thought TEXT)")

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> "Iterator[_Cache]":
        """The cache in this file, made if it is not there."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            base = sqlite3.connect(path, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise unwritable(path, OSError(5, str(error))) from error
        with closing(base):
            yield cls(base, path)

    def known(self, keys: Sequence[str]) -> dict[str, str]:
        """The answers there are to these keys."""
        wanted = set(keys)
        rows = self._do("SELECT key, thought FROM thoughts")
        return {key: thought for key, thought in rows if key in wanted}

    def keep(self, key: str, thought: str) -> None:
        """Store one answer, at once."""
        self._do("INSERT OR REPLACE INTO thoughts VALUES (?, ?)", (key, thought))

    def _do(self, statement: str, values: Sequence[str] = ()) -> list[Any]:
        try:
            return self.base.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise unwritable(self.path, OSError(5, str(error))) from error
