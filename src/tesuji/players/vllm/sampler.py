"""Samples through vLLM servers: a request a decision, many at once.

Free replies are sampled there, each from its own seed. Where a reply must be one of a few, the
servers only say how likely the tokens are that may come next, and the token is drawn here, as the
local sampler draws it and from the same stream: so the distribution is the same, and so are the
moves, up to rounding. A choice among single tokens is one request, and decisions alike share it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import torch

from tesuji.core.types import Sampled
from tesuji.players.endpoint.transport import wait_for
from tesuji.players.sampling.base import Choices
from tesuji.players.sampling.legal_tokens import branches_of
from tesuji.players.sampling.local import Row, check_lengths
from tesuji.players.sampling.token_draw import distribution, draw
from tesuji.players.vllm.generate import (
    MOST_IDS,
    next_token_body,
    next_token_logprobs,
    reply_body,
    reply_in,
)
from tesuji.players.vllm.servers import Servers, Version

Ids = tuple[int, ...]
T = TypeVar("T")


class VllmSampler:
    """Fulfils `Sampler` with the weights of `version`, which the servers must have. `context` is
    the most tokens the model reads."""

    def __init__(
        self,
        servers: Servers,
        version: Version,
        *,
        stop_ids: frozenset[int],
        context: int | None = None,
    ) -> None:
        self.servers, self.version = servers, version
        self.stop_ids, self.longest = stop_ids, context

    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        temperature: float,
        top_p: float,
        max_new_tokens: int,
        seeds: Sequence[int],
        stop_ids: frozenset[int],
        choices: Sequence[Choices | None] | None = None,
    ) -> list[Sampled]:
        """One reply a prompt, in order; see `Sampler`. Raises EngineError if one is too long, or no
        server answers."""
        check_lengths(prompts, max_new_tokens, self.longest)
        branches = [None] * len(prompts) if choices is None else branches_of(choices)
        rows = [
            Row(tuple(prompt), seed, stop_ids, max_new_tokens, branch)
            for prompt, seed, branch in zip(prompts, seeds, branches, strict=True)
        ]
        ask = _Asking(self.servers, self.version)
        work = [
            ask.choice(row, temperature, top_p)
            if branch is not None
            else ask.reply(row, temperature, top_p, seed)
            for row, seed, branch in zip(rows, seeds, branches, strict=True)
        ]
        return wait_for(_all(work))

    def score(
        self, prompts: Sequence[Sequence[int]], choices: Sequence[Choices]
    ) -> list[list[float]]:
        """The log-prob of each choice after its prompt, end token included; see `Sampler`."""
        for prompt, some in zip(prompts, choices, strict=True):
            check_lengths([prompt], max(map(len, some), default=0), self.longest)
        ask = _Asking(self.servers, self.version)
        work = [ask.scores(tuple(p), some) for p, some in zip(prompts, choices, strict=True)]
        return wait_for(_all(work))


class _Asking:
    """The requests of one call; what several rows ask is asked once."""

    def __init__(self, servers: Servers, version: Version) -> None:
        self.servers, self.version = servers, version
        self.known: dict[tuple[Ids, Ids], asyncio.Future[list[float]]] = {}

    async def reply(self, row: Row, temperature: float, top_p: float, seed: int) -> Sampled:
        """A free reply."""
        limit, stop_ids = row.limit, row.stop_ids
        body = reply_body(
            row.prompt,
            temperature=temperature,
            top_p=top_p,
            max_new_tokens=limit,
            seed=seed,
            stop_ids=stop_ids,
        )
        ids, logprobs = await self.servers.generate(
            body, self.version, lambda a: reply_in(a, max_new_tokens=limit, stop_ids=stop_ids)
        )
        logprobs = logprobs if temperature else [0.0] * len(ids)
        return Sampled(row.prompt, tuple(ids), tuple(logprobs), ids[-1] in stop_ids)

    async def choice(self, row: Row, temperature: float, top_p: float) -> Sampled:
        """One of the row's choices, a token at a time where they part."""
        while not row.done:
            assert row.branch is not None
            tokens, uniform = tuple(sorted(row.branch)), row.uniform()
            if len(tokens) == 1:  # a draw all the same, to stay in step with the local sampler
                row.append(tokens[0], 0.0)
                continue
            known = await self.next((*row.prompt, *row.ids), tokens)
            legal = distribution(torch.tensor([known]), temperature, top_p)
            place, logprob = draw(legal, torch.tensor([uniform]))
            row.append(tokens[int(place)], float(logprob))
        return row.sampled()

    async def scores(self, prompt: Ids, choices: Choices) -> list[float]:
        """The log-prob of each choice: one request for each place where some go on."""
        after: dict[Ids, set[int]] = defaultdict(set)
        for choice in choices:
            for place, token in enumerate(choice):
                after[tuple(choice[:place])].add(token)
        ways = [(way, tuple(sorted(tokens))) for way, tokens in after.items()]
        answers = await _all([self.next((*prompt, *way), tokens) for way, tokens in ways])
        of = {
            (*way, token): logprob
            for (way, tokens), known in zip(ways, answers, strict=True)
            for token, logprob in zip(tokens, known, strict=True)
        }
        return [sum(of[tuple(c[: n + 1])] for n in range(len(c))) for c in choices]

    async def next(self, ids: Ids, tokens: Ids) -> list[float]:
        """The model's own log-probs of `tokens` after `ids`."""
        if (ids, tokens) not in self.known:
            self.known[ids, tokens] = asyncio.ensure_future(self._next(ids, tokens))
        return await self.known[ids, tokens]

    async def _next(self, ids: Ids, tokens: Ids) -> list[float]:
        size = MOST_IDS - 1
        parts = [tokens[start : start + size] for start in range(0, len(tokens), size)]
        answers = await _all([self._part(ids, part) for part in parts])
        return [logprob for answer in answers for logprob in answer]

    async def _part(self, ids: Ids, tokens: Ids) -> list[float]:
        body = next_token_body(ids, tokens)
        return await self.servers.generate(
            body, self.version, lambda answer: next_token_logprobs(answer, tokens)
        )


async def _all(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """What all of these come to, at the same time; the first that fails ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except ExceptionGroup as several:
        raise several.exceptions[0] from None
    return [task.result() for task in tasks]
