"""The local sampler: a transformers model, decoded in batches, close to its bare forward passes.

Each distinct prompt goes through the model once, however many replies it gets, and stands once in
its memory while they are short; what several prompts begin with is read once, and kept for later
calls until the weights change; finished rows leave the batch; where a reply must be a legal move,
decoding ends as soon as one move is left. With `reuse`, a prompt that goes on where an earlier
prompt and its reply ended is read from there. What it leaves to others: beams, penalties, paged
attention (vLLM has those).

    sampler = LocalSampler(model, tokenizer)
    sampler.sample([ids], temperature=1.0, top_p=1.0, max_new_tokens=8, seeds=[1],
                   stop_ids=sampler.stop_ids)
"""

import functools
import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tesuji.core.errors import EngineError
from tesuji.core.tensors import on_device
from tesuji.core.types import Sampled
from tesuji.players.prompting.chat_template import end_of_reply
from tesuji.players.sampling.base import Choices
from tesuji.players.sampling.kv_context import ALL, NOBODY, Context, read_once
from tesuji.players.sampling.legal_tokens import Branch, branches_of, certain, masked
from tesuji.players.sampling.modes import evaluating
from tesuji.players.sampling.plain_context import PlainContext
from tesuji.players.sampling.prefix_cache import KeptContexts
from tesuji.players.sampling.scoring import Scoring, padded_scores, tree_scores
from tesuji.players.sampling.support_check import support_of
from tesuji.players.sampling.token_draw import distribution, draw

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DROP_AT = 0.75  # finished rows leave the batch once at most this share of it is still running


class LocalSampler:
    """Samples from `model`, at most `batch_size` rows at a time, on whatever device it is."""

    def __init__(
        self,
        model: "PreTrainedModel",
        tokenizer: "PreTrainedTokenizerBase",
        *,
        batch_size: int = 256,
        reuse: bool = False,
    ) -> None:
        self.model = model
        self.batch_size = batch_size
        self.support = support_of(model)
        self.kept = KeptContexts(model) if self.support.shared else None
        self.reuse = reuse and self.support.shared
        self.stop_ids = frozenset(stop_ids_of(model, tokenizer))
        self.longest = getattr(model.config, "max_position_embeddings", None)

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
        """One reply a prompt, in order; see `Sampler`. Raises EngineError if one is too long."""
        check_lengths(prompts, max_new_tokens, self.longest)
        branches = [None] * len(prompts) if choices is None else branches_of(choices)
        rows = [
            Row(tuple(prompt), seed, stop_ids, max_new_tokens, branch)
            for prompt, seed, branch in zip(prompts, seeds, branches, strict=True)
        ]
        self.decode(rows, temperature, top_p)
        return [row.sampled() for row in rows]

    def decode(self, rows: "Sequence[Row]", temperature: float, top_p: float) -> None:
        """Draw these rows to their ends, in place. A row may end itself before (`done`): it then
        leaves its batch."""
        ordered = self._ordered([row for row in rows if not row.done])
        with evaluating(self.model), torch.inference_mode():
            for batch in self._batches(ordered):
                self._decode(batch, temperature, top_p)

    def score(
        self, prompts: Sequence[Sequence[int]], choices: Sequence[Choices]
    ) -> list[list[float]]:
        """The log-prob of each choice after its prompt, end token included; see `Sampler`."""
        rows = [
            Scoring(tuple(prompt), tuple(choice))
            for prompt, some in zip(prompts, choices, strict=True)
            for choice in some
        ]
        for row in rows:
            check_lengths([row.prompt], len(row.reply), self.longest)
        with evaluating(self.model), torch.inference_mode():
            scores = iter(self._scores(rows))
        return [[next(scores) for _ in some] for some in choices]

    def _scores(self, rows: Sequence[Scoring]) -> list[float]:
        if self.kept is None:
            return padded_scores(self.model, self.support, rows, self.batch_size)
        self.kept.forget_if_changed()
        return tree_scores(self.model, self.kept.beginnings, rows)

    def _ordered(self, rows: "list[Row]") -> "list[Row]":
        """Alike beside alike, so that little is padded. Conversations that fit into one batch stay
        in the order they come in: the next turn then finds them as they were kept."""
        if self.reuse and len(rows) <= self.batch_size:
            return rows
        return sorted(rows, key=lambda row: (len(row.read), row.read))

    def _batches(self, rows: "list[Row]") -> "Iterator[list[Row]]":
        """At most batch_size rows; where nothing may be padded, of one length."""
        alike = [rows]
        if self.support.plain:
            alike = [list(some) for _, some in itertools.groupby(rows, lambda row: len(row.read))]
        for some in alike:
            for start in range(0, len(some), self.batch_size):
                yield some[start : start + self.batch_size]

    def _decode(self, rows: "list[Row]", temperature: float, top_p: float) -> None:
        """Decode these rows to their ends, one token of each at a time."""
        choose = functools.partial(_draw, temperature=temperature, top_p=top_p)
        stems = list(dict.fromkeys(row.read for row in rows))
        if self.kept and not self.reuse and self._worth_sharing(stems, rows):
            _decode_shared(self.kept, stems, rows, choose)
            return
        context, logits = self._read(rows)
        while True:
            ids = choose(logits, rows)
            running = [index for index, row in enumerate(rows) if not row.done]
            if not running:
                break
            if len(running) <= DROP_AT * len(rows):
                self._keep(context, rows, [i for i, row in enumerate(rows) if row.done])
                context.keep(running)
                rows = [rows[index] for index in running]
                ids = ids[on_device(running, ids.device)]
            logits = context.advance(ids, [row.done for row in rows] if self.reuse else None)
        self._keep(context, rows, range(len(rows)))

    def _worth_sharing(self, stems: Sequence[Sequence[int]], rows: "Sequence[Row]") -> bool:
        """Whether replies are so short that seeing past the others' costs less than copying the
        prompt for each."""
        others = (len(rows) / len(stems) - 1) * max(row.limit for row in rows)
        return len(stems) < len(rows) and others <= min(map(len, stems))

    def _read(self, rows: "Sequence[Row]") -> tuple[Context | PlainContext, Tensor]:
        """A context that has read every row's text, and the logits [B, V] after it."""
        texts = [row.read for row in rows]
        if self.kept is not None:
            return self.kept.read(texts)
        if self.support.plain:
            context = PlainContext(self.model, texts, cached=self.support.cached)
            return context, context.logits
        return read_once(self.model, texts, masks=False)

    def _keep(
        self, context: Context | PlainContext, rows: "Sequence[Row]", leaving: Sequence[int]
    ) -> None:
        """Remember what the leaving rows have read, for a prompt that goes on from there."""
        if self.kept and self.reuse and isinstance(context, Context) and leaving:
            texts = [(*rows[index].prompt, *rows[index].ids) for index in leaving]
            whole = len(leaving) == len(rows)
            self.kept.put(context if whole else context.pick([(i, ALL) for i in leaving]), texts)


class Row:
    """One reply in the making. What follows with certainty is taken without asking the model."""

    def __init__(
        self,
        prompt: tuple[int, ...],
        seed: int,
        stop_ids: frozenset[int],
        limit: int,
        branch: Branch | None,
    ) -> None:
        self.prompt = prompt
        self.uniform = random.Random(seed).random  # a stream of its own, whatever the batch
        self.stop_ids = stop_ids
        self.limit = limit
        self.branch = branch
        self.ids: list[int] = []
        self.logprobs: list[float] = []
        self.allowed: dict[int, tuple[int, ...]] = {}
        self.stopped = self.done = False
        if branch is not None:
            tokens, self.branch = certain(branch)
            self._take_certain(tokens, ended=not self.branch)
        self.read = (*prompt, *self.ids)

    def append(self, token: int, logprob: float) -> None:
        """Take the token drawn for this row; with it the rest, if only one choice is left."""
        if self.done:
            return
        if self.branch is not None:
            self.allowed[len(self.ids)] = tuple(self.branch)
        self._take([token], logprob, ended=token in self.stop_ids and self.branch is None)
        if self.branch is not None:
            self.branch = self.branch[token]
            tokens, end = certain(self.branch)
            if not end:
                self._take_certain(tokens, ended=True)

    def _take_certain(self, tokens: list[int], *, ended: bool) -> None:
        for place, token in enumerate(tokens, start=len(self.ids)):
            self.allowed[place] = (token,)
        self._take(tokens, 0.0, ended=ended)

    def _take(self, tokens: list[int], logprob: float, *, ended: bool) -> None:
        self.ids += tokens
        self.logprobs += [logprob] * len(tokens)
        self.stopped = ended and len(self.ids) <= self.limit
        self.done = ended or len(self.ids) >= self.limit

    def sampled(self) -> Sampled:
        """The reply as the rest of the house knows it."""
        ids, logprobs = self.ids[: self.limit], self.logprobs[: self.limit]
        allowed = {place: some for place, some in self.allowed.items() if place < self.limit}
        return Sampled(self.prompt, tuple(ids), tuple(logprobs), self.stopped, allowed)


Choose = Callable[[Tensor, "Sequence[Row]"], Tensor]


def _decode_shared(
    kept: KeptContexts,
    stems: Sequence[tuple[int, ...]],
    rows: "Sequence[Row]",
    choose: Choose,
) -> None:
    """Decode rows whose prompts are among the stems, each stem standing in the memory once."""
    place = {stem: number for number, stem in enumerate(stems)}
    context, logits = kept.read(stems)
    logits = logits[on_device([place[row.read] for row in rows], logits.device)]
    replies: list[list[Row]] = [[] for _ in stems]
    for row in rows:
        replies[place[row.read]].append(row)
    running: Sequence[Row] = rows
    for step in itertools.count():
        choose(logits, running)
        if all(row.done for row in running):
            return
        left = [number for number, some in enumerate(replies) if not all(r.done for r in some)]
        if len(left) <= DROP_AT * len(replies):
            context.keep(left)
            replies = [replies[number] for number in left]
        waiting = [[(k, r) for k, r in enumerate(some, 1) if not r.done] for some in replies]
        width = max(map(len, waiting))
        blanks = [width - len(some) for some in waiting]
        ids = [[r.ids[-1] for _, r in s] + [0] * n for s, n in zip(waiting, blanks, strict=True)]
        owners = [[k for k, _ in s] + [NOBODY] * n for s, n in zip(waiting, blanks, strict=True)]
        logits = context.read_shared(ids, owners, step)
        running = [row for some in waiting for _, row in some]
        at = [(u, w) for u, some in enumerate(waiting) for w in range(len(some))]
        logits = logits[tuple(on_device(at, logits.device).T)]


def _draw(logits: Tensor, rows: Sequence[Row], temperature: float, top_p: float) -> Tensor:
    """Draw one token a row from logits [B, V], append it to the row, and return all of them [B]."""
    legal = masked(logits, [row.branch for row in rows])
    uniforms = on_device([row.uniform() for row in rows], logits.device)
    ids, logprobs = draw(distribution(legal, temperature, top_p), uniforms)
    drawn = torch.stack([ids.to(logprobs.dtype), logprobs], dim=1)  # float32 holds any id exactly
    for row, (token, logprob) in zip(rows, drawn.tolist(), strict=True):
        if not math.isfinite(logprob):
            raise EngineError(
                "the model's logits are not numbers",
                hint="its training diverged, or its dtype overflows: try model.dtype: float32",
            )
        row.append(int(token), logprob)
    return ids


def check_lengths(prompts: Sequence[Sequence[int]], new: int, context: int | None) -> None:
    """Raise EngineError for a prompt without tokens, and for one that with `new` more of them is
    longer than the model's context."""
    shortest, longest = min(map(len, prompts), default=1), max(map(len, prompts), default=1)
    if not shortest:
        raise EngineError("a prompt has no tokens", hint="show the model something to reply to")
    if context and longest + new > context:
        raise EngineError(
            f"prompt ({longest} tokens) and reply ({new}) exceed the model's {context}",
            hint="use a shorter prompt (prompt.style: compact), a smaller"
            " sampling.max_new_tokens, or a model with a longer context",
        )


def stop_ids_of(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> Iterator[int]:
    """What ends a reply: the template's end of turn, and every eos of tokenizer and model."""
    yield end_of_reply(tokenizer)
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    several = configured if isinstance(configured, list) else [configured]
    yield from (int(id) for id in [tokenizer.eos_token_id, *several] if id is not None)
