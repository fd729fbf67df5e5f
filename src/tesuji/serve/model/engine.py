"""Many asking one model at once: whoever waits is answered together, token by token, and whoever
has left costs nothing more.

One thread has the model. It takes the oldest request and all that wait with the same temperature
and top_p, and decodes them as one batch; those that come in between are the next batch. A sampler
elsewhere, which has batches of its own, is handed what comes at once. A reply depends on its own
prompt and seed only, so it is the same whoever else asks.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tesuji.core.errors import EngineError, TesujiError
from tesuji.core.types import Sampled
from tesuji.players.sampling.base import Choices, Sampler
from tesuji.players.sampling.legal_tokens import branches_of
from tesuji.players.sampling.local import LocalSampler, Row, check_lengths

MOST_WAITING = 1024
MOST_AWAY = 16  # batches that a sampler elsewhere has at once


class Busy(Exception):
    """So many wait already that another one would not be answered in time."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One reply that is wanted."""

    prompt: tuple[int, ...]
    temperature: float
    top_p: float
    max_new_tokens: int
    seed: int
    choices: Choices | None = None
    stop: Callable[[Sequence[int]], bool] = lambda ids: False
    """Told the reply's ids so far: whether it ends there."""


@dataclass(eq=False, slots=True)
class Ticket:
    """An ask under way. `news` gets the number of tokens so far, then the reply, or an error."""

    ask: Ask
    loop: asyncio.AbstractEventLoop
    news: "asyncio.Queue[tuple[int, ...] | Sampled | Exception]" = field(
        default_factory=asyncio.Queue
    )
    cancelled: bool = False

    def tell(self, what: "tuple[int, ...] | Sampled | Exception") -> None:
        """From the model's thread: put it where the one who asks waits for it."""
        try:
            self.loop.call_soon_threadsafe(self.news.put_nowait, what)
        except RuntimeError:  # the loop is closed: nobody waits any more
            self.cancelled = True


class LiveRow(Row):
    """A row that tells its ticket of each token, and ends when nobody waits for it."""

    def __init__(self, ticket: Ticket, stop_ids: frozenset[int]) -> None:
        ask = ticket.ask
        branch = branches_of([ask.choices])[0] if ask.choices is not None else None
        self.ticket = ticket
        super().__init__(ask.prompt, ask.seed, stop_ids, ask.max_new_tokens, branch)

    def append(self, token: int, logprob: float) -> None:
        """As `Row.append`."""
        super().append(token, logprob)
        if self.ticket.cancelled or self.ticket.ask.stop(self.ids):
            self.done = True
        elif not self.done:
            self.ticket.tell(tuple(self.ids))


class Engine:
    """The thread that has the model, or hands out what a sampler elsewhere is asked."""

    def __init__(self, sampler: Sampler, most_waiting: int = MOST_WAITING) -> None:
        self.sampler = sampler
        self.most_waiting = most_waiting
        self.tokens = 0
        """Drawn so far, for all."""
        self._waiting: deque[Ticket] = deque()
        self._there = threading.Condition()
        self._closing = False
        self._away = None if isinstance(sampler, LocalSampler) else ThreadPoolExecutor(MOST_AWAY)
        self._places = threading.Semaphore(MOST_AWAY)
        self._thread = threading.Thread(target=self._work, name="tesuji-engine", daemon=True)
        self._thread.start()

    def submit(self, ask: Ask) -> Ticket:
        """Have it answered. Called from the loop that waits for it. Raises Busy, and EngineError
        for a prompt that is too long."""
        check_lengths([ask.prompt], ask.max_new_tokens, getattr(self.sampler, "longest", None))
        ticket = Ticket(ask, asyncio.get_running_loop())
        with self._there:
            if len(self._waiting) >= self.most_waiting:
                raise Busy
            self._waiting.append(ticket)
            self._there.notify()
        return ticket

    def close(self) -> None:
        """End the thread; who waits is told so."""
        with self._there:
            self._closing = True
            for ticket in self._waiting:
                ticket.cancelled = True
            self._there.notify()
        self._thread.join(timeout=30)
        if self._away is not None:
            self._away.shutdown(wait=False, cancel_futures=True)

    def _work(self) -> None:
        while batch := self._next_batch():
            if self._away is None:
                self._do(batch)
            else:
                self._places.acquire()
                self._away.submit(self._do, batch).add_done_callback(self._back)

    def _back(self, done: object) -> None:
        self._places.release()

    def _do(self, batch: list[Ticket]) -> None:
        try:
            self._answer(batch)
        except TesujiError as error:
            self._fail(batch, error)
        except (RuntimeError, MemoryError, IndexError, ValueError) as error:
            self._fail(batch, EngineError(f"the model failed: {type(error).__name__}: {error}"))

    def _next_batch(self) -> list[Ticket]:
        """The oldest ticket and those like it; none when all is over."""
        with self._there:
            while not self._waiting and not self._closing:
                self._there.wait()
            waiting = [ticket for ticket in self._waiting if not ticket.cancelled]
            key = self._key(waiting[0]) if waiting else None
            batch = [ticket for ticket in waiting if self._key(ticket) == key]
            self._waiting = deque(ticket for ticket in waiting if self._key(ticket) != key)
            over = self._closing
        if batch or over:
            return batch
        return self._next_batch()

    def _answer(self, batch: list[Ticket]) -> None:
        temperature, top_p = batch[0].ask.temperature, batch[0].ask.top_p
        if isinstance(self.sampler, LocalSampler):
            rows = [LiveRow(ticket, self.sampler.stop_ids) for ticket in batch]
            try:
                self.sampler.decode(rows, temperature, top_p)
            finally:
                self.tokens += sum(len(row.ids) for row in rows)
            replies = [row.sampled() for row in rows]
        else:
            replies = self._sample(batch, temperature, top_p)
            with self._there:
                self.tokens += sum(len(reply.reply_ids) for reply in replies)
        for ticket, reply in zip(batch, replies, strict=True):
            ticket.tell(reply)

    def _sample(self, batch: list[Ticket], temperature: float, top_p: float) -> list[Sampled]:
        """By a sampler elsewhere, which says nothing before a reply is whole."""
        asks: list[Any] = [ticket.ask for ticket in batch]
        return self.sampler.sample(
            [ask.prompt for ask in asks],
            temperature=temperature,
            top_p=top_p,
            max_new_tokens=asks[0].max_new_tokens,
            seeds=[ask.seed for ask in asks],
            stop_ids=self.sampler.stop_ids,
            choices=[ask.choices for ask in asks] if any(ask.choices for ask in asks) else None,
        )

    def _key(self, ticket: Ticket) -> tuple[float, float, int]:
        """Tickets of one key may be one batch."""
        ask, here = ticket.ask, isinstance(self.sampler, LocalSampler)
        return ask.temperature, ask.top_p, 0 if here else ask.max_new_tokens

    @staticmethod
    def _fail(batch: list[Ticket], error: Exception) -> None:
        for ticket in batch:
            ticket.tell(error)
