"""How likely a model finds given replies: perplexity, and which of two replies it prefers.

The ids are those that training and sampling see (`players/prompting/chat_template.py`); a reply's
log-probability runs over its own tokens and the one that ends it, never over the prompt.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from tesuji.core.errors import EngineError
from tesuji.core.progress import Progress
from tesuji.core.statistics import clusters, ratio_interval, share
from tesuji.core.types import Example, Message, Pair
from tesuji.evaluation.held_out.results import Likelihood, Preferences
from tesuji.players.prompting.chat_template import render_prompt, render_reply
from tesuji.players.sampling.local import LocalSampler

TOKENS = 1 << 16  # most tokens in one forward pass
LOGITS = 1 << 28  # most logits in one: a gigabyte in float32


@dataclass(frozen=True, slots=True)
class Reader:
    """A model that reads rows: `longest` tokens in all, `longest_prompt` of them the prompt."""

    sampler: LocalSampler
    tokenizer: Any
    longest: int
    longest_prompt: int
    enable_thinking: bool = False

    def prompt(self, messages: Sequence[Message], reply: int) -> tuple[list[int], bool] | None:
        """The prompt's ids, and whether its beginning was cut so that `reply` tokens fit behind
        it; None where they do not fit at all."""
        ids = render_prompt(self.tokenizer, messages, enable_thinking=self.enable_thinking)
        room = min(self.longest - reply, self.longest_prompt)
        return (ids[-room:], len(ids) > room) if room > 0 else None

    def reply(self, text: str) -> list[int]:
        """A reply's ids, the token that ends it included."""
        return render_reply(self.tokenizer, text)


@dataclass(frozen=True, slots=True)
class Scored:
    """One row's replies with their log-probabilities, in nats, and numbers of tokens."""

    row: Any
    logprobs: tuple[float, ...]
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """All rows that fit. `cut` prompts lost their beginning, `dropped` rows did not fit."""

    rows: tuple[Scored, ...]
    cut: int
    dropped: int


def score_examples(reader: Reader, rows: Sequence[Example], progress: Progress) -> ScoredRows:
    """The log-probability of every row's reply."""
    return _score(reader, [(row, row.prompt, [row.reply]) for row in rows], progress)


def score_pairs(reader: Reader, pairs: Sequence[Pair], progress: Progress) -> ScoredRows:
    """Those of every pair's two replies, chosen first, after the same prompt."""
    return _score(reader, [(p, p.prompt, [p.chosen, p.rejected]) for p in pairs], progress)


def _score(
    reader: Reader, rows: Sequence[tuple[Any, Sequence[Message], list[str]]], progress: Progress
) -> ScoredRows:
    kept, prompts, choices, cut = [], [], [], 0
    for row, messages, texts in rows:
        replies = [reader.reply(text) for text in texts]
        fitted = reader.prompt(messages, max(map(len, replies)))
        if fitted is None:
            progress.advance()
            continue
        cut += fitted[1]
        kept.append(row)
        prompts.append(fitted[0])
        choices.append(replies)
    scored = []
    found = _logprobs(reader, prompts, choices, progress)
    for row, replies, logprobs in zip(kept, choices, found, strict=True):
        scored.append(Scored(row, tuple(logprobs), tuple(map(len, replies))))
    return ScoredRows(tuple(scored), cut, len(rows) - len(kept))


def _logprobs(
    reader: Reader,
    prompts: Sequence[list[int]],
    choices: Sequence[list[list[int]]],
    progress: Progress,
) -> list[list[float]]:
    found: list[list[float]] = [[] for _ in prompts]
    for chunk in _chunks(prompts, choices, reader):
        with telling_memory("reading held-out rows"):
            scores = reader.sampler.score([prompts[i] for i in chunk], [choices[i] for i in chunk])
        for index, some in zip(chunk, scores, strict=True):
            found[index] = some
        progress.advance(len(chunk))
    return found


def _chunks(
    prompts: Sequence[list[int]], choices: Sequence[list[list[int]]], reader: Reader
) -> Iterator[list[int]]:
    """Indices of rows, alike beside alike, as many as one forward pass should hold."""
    vocabulary = int(reader.sampler.model.config.get_text_config().vocab_size)
    chunk: list[int] = []
    count = longest = prompt = 0
    for index in sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), prompts[i])):
        reply = max(longest, max(map(len, choices[index])))
        rows, whole = count + len(choices[index]), max(prompt, len(prompts[index])) + reply
        full = rows > reader.sampler.batch_size or rows * whole > TOKENS
        if chunk and (full or rows * reply * vocabulary > LOGITS):
            yield chunk
            chunk, rows, reply = [], len(choices[index]), max(map(len, choices[index]))
        chunk.append(index)
        count, longest, prompt = rows, reply, len(prompts[index])
    if chunk:
        yield chunk


@contextlib.contextmanager
def telling_memory(doing: str) -> Iterator[None]:
    """Say in one message that memory ran out, and what helps. Raises EngineError."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, MemoryError) and "out of memory" not in str(error).lower():
            raise
        raise EngineError(
            f"out of memory while {doing}",
            where="sampling.batch_size",
            hint="lower sampling.batch_size, or set prompt.max_length",
        ) from error


def likelihood(rows: Sequence[Scored]) -> Likelihood | None:
    """Perplexity's parts over rows of examples; None of nothing."""
    if not rows:
        return None
    tokens = sum(row.tokens[0] for row in rows)
    nats = [-row.logprobs[0] for row in rows]
    parts = clusters((row.row, nat, row.tokens[0]) for row, nat in zip(rows, nats, strict=True))
    return Likelihood(
        replies=len(rows),
        matches=len(parts),
        tokens=tokens,
        nats_per_token=sum(nats) / tokens,
        interval=ratio_interval(parts),
        nats_per_reply=fmean(nats),
    )


def preferences(pairs: Sequence[Scored]) -> Preferences | None:
    """Which reply of each pair is the likelier; None of nothing."""
    if not pairs:
        return None
    margins = [pair.logprobs[0] - pair.logprobs[1] for pair in pairs]
    means = [[p / n for p, n in zip(pair.logprobs, pair.tokens, strict=True)] for pair in pairs]
    parts = clusters((pair.row, m, 1) for pair, m in zip(pairs, margins, strict=True))
    return Preferences(
        pairs=len(pairs),
        ties=margins.count(0.0),
        summed=share([margin > 0 for margin in margins]),
        per_token=share([chosen > rejected for chosen, rejected in means]),
        margin=fmean(margins),
        margin_interval=ratio_interval(parts),
    )


def by_fact(rows: Sequence[Scored], fact: str) -> Mapping[str, list[Scored]]:
    """The rows by a fact of theirs; rows that do not have it are left out."""
    groups: dict[str, list[Scored]] = defaultdict(list)
    for row in rows:
        if row.row.about.get(fact):
            groups[str(row.row.about[fact])].append(row)
    return dict(sorted(groups.items()))
