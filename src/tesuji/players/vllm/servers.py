"""Several vLLM servers with the same weights: each request goes to one that is well.

A server with three faults in a row is asked no more until weights are handed out again; one that
answers with other weights is dropped at once. When none is left, one EndpointError ends the run.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tesuji.core.errors import EndpointError
from tesuji.players.endpoint.transport import wait_for
from tesuji.players.vllm.server import Server, ServerFault, WrongModel

log = logging.getLogger(__name__)

GENERATE = "/inference/v1/generate"
TRIES = 4  # of one request, over all servers
FAULTS = 3  # in a row, and a server is left out
WAIT_S = 0.25  # before the second try, doubled for each further one
GOES_ON = "what was trained is in the last checkpoint: the same command goes on from there"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Version:
    """Which weights are asked: an adapter by its name, or whole weights by their version."""

    number: int
    adapter: str = ""
    weights: str = ""

    def check(self, answer: Any, model: str) -> None:
        """Raise WrongModel where an answer of `model` is not of these weights."""
        if (said := answer["model"]) != model:
            raise WrongModel(f"{said!r} answers where {model!r} was asked")
        spans = answer["choices"][0].get("weight_versions") or []
        others = {str(span["version"]) for span in spans} - {self.weights}
        if self.weights and (others or not spans):
            raise WrongModel(f"it has the weights {', '.join(others) or '?'}, not {self.weights}")


class Servers:
    """`most` is how many requests may be under way at once; `log_file` and `hint`, what to do next,
    stand in errors."""

    def __init__(
        self,
        urls: Sequence[str],
        timeout_s: float,
        most: int,
        log_file: str = "",
        hint: str = GOES_ON,
    ) -> None:
        self.all = [Server(url, timeout_s) for url in urls]
        self.lost: dict[str, str] = {}
        self.places = asyncio.Semaphore(most)
        self.log_file, self.hint = log_file, hint

    async def generate(
        self, body: Mapping[str, Any], version: Version, read: Callable[[Any], T]
    ) -> T:
        """What `read` makes of the first answer that is one. `read` raises LookupError, TypeError
        or ValueError for what is none. Raises EndpointError when no server gives one."""
        problem = ""
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(WAIT_S * 2 ** (attempt - 1))
            async with self.places:
                server = self._chosen()
                try:
                    return await self._once(server, body, version, read)
                except ServerFault as fault:
                    problem = f"{server.url}: {fault}"
                    self._note(server, fault)
        raise self._nobody(f"no answer in {TRIES} tries: {problem}")

    async def _once(
        self, server: Server, body: Mapping[str, Any], version: Version, read: Callable[[Any], T]
    ) -> T:
        model = version.adapter or server.model
        answer = await server.post(GENERATE, {**body, "model": model})
        try:
            version.check(answer, model)
            result = read(answer)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            start = str(answer)[:200]
            raise ServerFault(f"garbage ({type(error).__name__}: {error}): {start}") from None
        server.faults = 0
        return result

    def everywhere(self, work: Callable[[Server], Awaitable[None]]) -> None:
        """Do it on every server, on those that were lost too; where it fails the server is left
        out until the next time. Raises EndpointError where it fails on all, EngineError where it is
        refused."""
        wait_for(self._everywhere(work))

    async def _everywhere(self, work: Callable[[Server], Awaitable[None]]) -> None:
        self.lost = {}
        results = await asyncio.gather(*map(work, self.all), return_exceptions=True)
        for server, result in zip(self.all, results, strict=True):
            server.faults = 0
            if isinstance(result, ServerFault):
                self._lose(server, str(result))
            elif isinstance(result, BaseException):
                raise result
        self._well()

    def keep(self, urls: Sequence[str]) -> None:
        """Ask these only: the others have not got the weights."""
        self.lost = {one.url: "left out" for one in self.all if one.url not in urls}

    def close(self) -> None:
        """Let all connections go."""
        wait_for(_closed(self.all))

    @property
    def urls(self) -> list[str]:
        """Of the servers that are asked."""
        return [server.url for server in self.all if server.url not in self.lost]

    def _chosen(self) -> Server:
        """The one with least to do."""
        return min(self._well(), key=lambda server: server.under_way)

    def _well(self) -> list[Server]:
        well = [server for server in self.all if server.url not in self.lost]
        if not well:
            problems = "; ".join(f"{url}: {why}" for url, why in self.lost.items())
            raise self._nobody(problems)
        return well

    def _note(self, server: Server, fault: ServerFault) -> None:
        server.faults += 1
        if isinstance(fault, WrongModel) or server.faults >= FAULTS:
            self._lose(server, str(fault))

    def _lose(self, server: Server, why: str) -> None:
        if server.url not in self.lost:
            log.warning("vLLM server %s is left out: %s", server.url, why)
            self.lost[server.url] = why

    def _nobody(self, problem: str) -> EndpointError:
        see = f"see {self.log_file}; " if self.log_file else ""
        return EndpointError(
            f"no vLLM server answers: {problem}", where="sampling.engine", hint=f"{see}{self.hint}"
        )


async def _closed(servers: Sequence[Server]) -> None:
    for server in servers:
        await server.close()
