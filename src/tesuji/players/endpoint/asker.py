"""Many questions to one endpoint: several at once, failed ones again, known ones never.

A question that gets no answer after all retries is one question without an answer. Where nobody can
be reached any more, the key is refused or the budget used up, nothing more is asked, what is under
way comes to its end (it is paid for), and one EndpointError says so.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tesuji.core.errors import EndpointError
from tesuji.core.progress import SILENT, Progress
from tesuji.core.types import Message
from tesuji.players.endpoint.cache import ReplyCache
from tesuji.players.endpoint.transport import (
    Completion,
    Hopeless,
    NoAnswer,
    NoReply,
    Transport,
    wait_for,
)
from tesuji.recipe.schema.endpoint import EndpointSection

log = logging.getLogger(__name__)

GIVE_UP_AFTER = 8  # questions in a row without an answer mean that the endpoint is not there
WAIT_S, LONGEST_WAIT_S = 0.5, 8.0  # before asking again, where the server does not say how long
LONGEST_WISH_S = 120.0  # a server that wants more is asked no more

Read = Callable[[Completion], str]  # raises NoText for what is of no use


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked; `key` is that of its reply in the cache."""

    key: str
    messages: tuple[Message, ...]
    seed: int | None = None


class Asker:
    """One endpoint, asked by one user of it.

    `what` is what it gives, for messages ("thoughts"), `where` the recipe's key; `read` makes the
    reply of a completion, which is what is kept. Raises EngineError as `Transport` does.
    """

    def __init__(
        self,
        section: EndpointSection,
        cache: ReplyCache | None,
        *,
        read: Read,
        what: str,
        where: str,
    ) -> None:
        self.section, self.cache, self.read, self.what = section, cache, read, what
        self.transport = Transport(section, where)
        self.ever_answered, self.failed_in_a_row = False, 0
        self._not_before = 0.0  # monotonic; a server that is busy is busy for all
        self._named = False

    def ask(
        self,
        questions: Sequence[Question],
        progress: Progress = SILENT,
        most_missing: int | None = None,
    ) -> dict[str, str | NoReply]:
        """By key the reply to each question, or why there is none. Questions with one key are one.

        Raises EndpointError when the endpoint gives none at all, goes away in the middle, has used
        up its budget, or leaves more than `most_missing` questions without a reply.
        """
        return wait_for(self._ask(questions, progress, most_missing))

    def close(self) -> None:
        """Let connections and cache go."""
        wait_for(self.transport.close())
        if self.cache is not None:
            self.cache.close()

    async def _ask(
        self, questions: Sequence[Question], progress: Progress, most_missing: int | None
    ) -> dict[str, str | NoReply]:
        known = self.cache.known([one.key for one in questions]) if self.cache else {}
        missing = {one.key: one for one in questions if one.key not in known}
        self.ever_answered = self.ever_answered or bool(known)
        done = len(questions) - len(missing)
        progress.update(done)
        if not missing:
            return {**known}
        rounds = _Round(self, progress, done, len(missing), most_missing)
        return {**known, **await rounds.ask_all(missing)}

    async def reply(self, question: Question, ended: Callable[[], bool]) -> str:
        """The reply to one question. Raises NoReply after all retries, or once all has ended."""
        failure: NoReply = NoAnswer("nothing was asked")
        for attempt in range(self.section.retries + 1):
            if attempt:
                await self._wait(attempt, failure.wait_s)
            await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))
            if ended():
                break
            try:
                completion = await self.transport.ask(question.messages, question.seed)
                self._notice(completion)
                return self.transport.cleaned(self.read(completion))
            except Hopeless:
                raise
            except NoReply as error:
                failure = error
            if failure.final or failure.wait_s > LONGEST_WISH_S:
                break
        raise failure

    async def _wait(self, attempt: int, wish_s: float) -> None:
        """Longer each time, not all at the same moment, and as long as the server says."""
        if wish_s:
            self._not_before = max(self._not_before, time.monotonic() + wish_s)
        backoff = min(WAIT_S * 2 ** (attempt - 1), LONGEST_WAIT_S)
        await asyncio.sleep(max(wish_s, backoff * random.uniform(0.75, 1.0)))

    def _notice(self, completion: Completion) -> None:
        """Say it once where another model answers, or a reply ends before it says anything."""
        asked, by = self.section.model, completion.model
        if not self._named and by and asked.rpartition("/")[2].lower() not in by.lower():
            log.warning("%s answers where %s was asked", self.transport.cleaned(by)[:100], asked)
        self._named = True


class _Round:
    """One round of asking. `done` questions were answered before, `missing` are asked now."""

    def __init__(
        self, asker: Asker, progress: Progress, done: int, missing: int, most_missing: int | None
    ) -> None:
        self.asker, self.progress, self.done, self.most_missing = (
            asker,
            progress,
            done,
            most_missing,
        )
        self.patience = GIVE_UP_AFTER if asker.ever_answered else min(GIVE_UP_AFTER, missing)
        self.without = 0
        self.end: EndpointError | None = None  # why nothing more is asked
        self.replies: dict[str, str | NoReply] = {}
        self.places = asyncio.Semaphore(asker.section.concurrency)

    async def ask_all(self, questions: Mapping[str, Question]) -> dict[str, str | NoReply]:
        """Ask everything."""
        try:
            async with asyncio.TaskGroup() as group:
                for question in questions.values():
                    group.create_task(self._one(question))
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        if self.end:
            raise self.end
        return self.replies

    async def _one(self, question: Question) -> None:
        async with self.places:
            if self.end:
                return
            try:
                self._keep(question.key, await self.asker.reply(question, self._ended))
            except Hopeless as error:
                self.end = self.end or self._hopeless(error)
            except NoReply as error:
                self._do_without(question.key, error)
            except EndpointError as error:  # the budget
                self.end = self.end or error
        self.done += 1
        self.progress.update(self.done)

    def _ended(self) -> bool:
        return self.end is not None

    def _keep(self, key: str, reply: str) -> None:
        self.replies[key] = reply
        if self.asker.cache is not None:
            self.asker.cache.keep(key, reply)
        self.asker.ever_answered, self.asker.failed_in_a_row = True, 0

    def _do_without(self, key: str, error: NoReply) -> None:
        """Count it. A server once known to answer may refuse single questions, again and again
        (a content filter): only silence in a row, or too many in all, is the end."""
        self.replies[key] = error
        self.without += 1
        if isinstance(error, NoAnswer) or not self.asker.ever_answered:
            self.asker.failed_in_a_row += 1
        too_many = self.most_missing is not None and self.without > self.most_missing
        if self.asker.failed_in_a_row >= self.patience or too_many:
            self.end = self.end or self._hopeless(error)

    def _hopeless(self, error: NoReply) -> EndpointError:
        many = f" to {self.without} questions" if self.without > 1 else ""
        asker = self.asker
        where = asker.transport.cleaned(asker.section.base_url)
        return asker.transport.give_up(f"no {asker.what} from {where}{many}", str(error))
