"""What any sampler must do as the local one does: prompts, choices, and how they are compared."""

import random
from typing import Any

from tesuji.players.sampling.local import LocalSampler
from tesuji.players.vllm.sampler import VllmSampler
from tesuji.players.vllm.servers import Servers, Version


def vllm_sampler(servers: Servers, local: LocalSampler, **version: Any) -> VllmSampler:
    """Asks for the servers' own weights, or those of `version`."""
    servers.everywhere(lambda server: server.meet())
    told = Version(0, **version)
    return VllmSampler(servers, told, stop_ids=local.stop_ids, context=local.longest)


def prompts(count: int) -> list[list[int]]:
    draw = random.Random(0)
    return [[draw.randrange(256) for _ in range(draw.randrange(3, 30))] for _ in range(count)]


def choices(end: int, count: int) -> list[list[list[int]]]:
    """By turns: single tokens, and words that part twice, one of them after a certain token."""
    digits = [[token, end] for token in range(57, 47, -1)]
    words = ["AB", "CD1x", "CD1y", "CE", "Q"]
    return [[digits, [[*map(ord, word), end] for word in words]][n % 2] for n in range(count)]


def compare(sampler: VllmSampler, local: LocalSampler, temperature: float, top_p: float) -> float:
    """The largest difference of log-probs, once moves and all else are known to be the same."""
    count, end = 12, min(local.stop_ids)
    settings: dict[str, Any] = {
        "temperature": temperature,
        "top_p": top_p,
        "max_new_tokens": 8,
        "seeds": [10**15 + number for number in range(count)],
        "stop_ids": local.stop_ids,
        "choices": choices(end, count),
    }
    theirs = sampler.sample(prompts(count), **settings)
    ours = local.sample(prompts(count), **settings)
    for their, our in zip(theirs, ours, strict=True):
        assert their.reply_ids == our.reply_ids and their.prompt_ids == our.prompt_ids
        assert (their.stopped, their.allowed) == (our.stopped, our.allowed)
    return max(
        abs(their - our)
        for one, other in zip(theirs, ours, strict=True)
        for their, our in zip(one.logprobs, other.logprobs, strict=True)
    )


def furthest_score(sampler: VllmSampler, local: LocalSampler) -> float:
    """The largest difference between what two samplers score."""
    count = 8
    given = choices(min(local.stop_ids), count)
    theirs, ours = (one.score(prompts(count), given) for one in (sampler, local))
    return max(
        abs(a - b) for x, y in zip(theirs, ours, strict=True) for a, b in zip(x, y, strict=True)
    )


def free(sampler: Any, count: int = 12, **changes: Any) -> Any:
    """Free replies to `count` prompts."""
    settings = {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 6, "seeds": list(range(count))}
    return sampler.sample(prompts(count), stop_ids=sampler.stop_ids, **(settings | changes))


def gap(replies: Any, local: LocalSampler) -> float:
    """How far the log-probs of free replies at temperature 1 are from the local model's own."""
    own = local.score([r.prompt_ids for r in replies], [[r.reply_ids] for r in replies])
    return max(abs(sum(r.logprobs) - row[0]) for r, row in zip(replies, own, strict=True))
