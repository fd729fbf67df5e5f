"""How likely a model finds given replies: what perplexity and preferences are computed from.

A reply's log-probability runs over its own tokens and the one that ends it, never over the prompt.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tesuji.core.progress import SILENT, Progress
from tesuji.players.sampling.local import LocalSampler

TOKENS = 1 << 16  # most tokens in one forward pass
LOGITS = 1 << 28  # most logits in one: a gigabyte in float32

Ids = Sequence[int]


@dataclass(frozen=True, slots=True)
class Unscored:
    """A row as token ids: its prompt, and the replies to be scored behind it."""

    row: Any
    prompt: Ids
    replies: Sequence[Ids]


@dataclass(frozen=True, slots=True)
class Scored:
    """A row with a score for each of its replies, and their numbers of tokens. A score is a
    log-probability in nats, or what a reward model gives."""

    row: Any
    scores: tuple[float, ...]
    tokens: tuple[int, ...]


def score_replies(
    sampler: LocalSampler, rows: Sequence[Unscored], progress: Progress = SILENT
) -> list[Scored]:
    """The log-probability of every reply after its row's prompt, in the rows' order; `progress`
    hears of rows that are done. Raises EngineError where a row is longer than the model can hold.
    """
    logprobs: list[list[float]] = [[] for _ in rows]
    for chunk in _chunks(sampler, rows):
        scores = sampler.score([rows[i].prompt for i in chunk], [rows[i].replies for i in chunk])
        for place, some in zip(chunk, scores, strict=True):
            logprobs[place] = some
        progress.advance(len(chunk))
    return [
        Scored(row.row, tuple(some), tuple(map(len, row.replies)))
        for row, some in zip(rows, logprobs, strict=True)
    ]


def _chunks(sampler: LocalSampler, rows: Sequence[Unscored]) -> Iterator[list[int]]:
    """Places of rows, alike beside alike, as many as one forward pass should hold: the longest
    prompt and the longest reply together are no longer than the model can read."""
    vocabulary = int(sampler.model.config.get_text_config().vocab_size)
    most = sampler.longest or TOKENS
    chunk: list[int] = []
    count = longest = prompt = 0
    for place in sorted(range(len(rows)), key=lambda i: (len(rows[i].prompt), rows[i].prompt)):
        row = rows[place]
        own = max(map(len, row.replies))
        reply, replies = max(longest, own), count + len(row.replies)
        whole = max(prompt, len(row.prompt)) + reply
        full = replies > sampler.batch_size or replies * whole > TOKENS or whole > most
        if chunk and (full or replies * reply * vocabulary > LOGITS):
            yield chunk
            chunk, replies, reply = [], len(row.replies), own
        chunk.append(place)
        count, longest, prompt = replies, reply, len(row.prompt)
    if chunk:
        yield chunk
