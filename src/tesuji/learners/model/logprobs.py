"""How likely a model finds given replies: what perplexity and preferences are computed from.

A reply's log-probability runs over its own tokens and the one that ends it, never over the prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tesuji.core.progress import SILENT, Progress
from tesuji.players.sampling.local import LocalSampler

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
    places = sorted(range(len(rows)), key=lambda i: (len(rows[i].prompt), rows[i].prompt))
    for start in range(0, len(rows), sampler.batch_size):
        chunk = places[start : start + sampler.batch_size]
        scores = sampler.score([rows[i].prompt for i in chunk], [rows[i].replies for i in chunk])
        for place, some in zip(chunk, scores, strict=True):
            logprobs[place] = some
        progress.advance(len(chunk))
    return [
        Scored(row.row, tuple(some), tuple(map(len, row.replies)))
        for row, some in zip(rows, logprobs, strict=True)
    ]
