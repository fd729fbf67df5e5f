"""The local sampler: a transformers model, decoded in batches, close to its bare forward passes.

Each distinct prompt goes through the model once, however many replies it gets; finished rows leave
the batch; where a reply must be a legal move, decoding ends as soon as one move is left. What it
leaves to others: beams, penalties, paged attention (vLLM has those).

    sampler = LocalSampler(model, tokenizer)
    sampler.sample([ids], temperature=1.0, top_p=1.0, max_new_tokens=8, seeds=[1],
                   stop_ids=sampler.stop_ids)
"""

import contextlib
import math
import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tesuji.core.errors import EngineError
from tesuji.core.types import Sampled
from tesuji.players.decoding import distribution, draw
from tesuji.players.render import end_of_reply
from tesuji.players.sampling import Choices
from tesuji.players.trie import Branch, TokenTrie, certain

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
    ) -> None:
        self.model = model
        self.batch_size = batch_size
        self.stop_ids = frozenset(_stop_ids(model, tokenizer))
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
        self._check_lengths(prompts, max_new_tokens)
        branches = [None] * len(prompts) if choices is None else _branches(choices)
        rows = [
            _Row(tuple(prompt), seed, stop_ids, max_new_tokens, branch)
            for prompt, seed, branch in zip(prompts, seeds, branches, strict=True)
        ]
        undecided = (row for row in rows if not row.done)
        ordered = sorted(undecided, key=lambda row: (len(row.read), row.read))
        with _evaluating(self.model), torch.inference_mode():
            for start in range(0, len(ordered), self.batch_size):
                self._decode(ordered[start : start + self.batch_size], temperature, top_p)
        return [row.sampled() for row in rows]

    def score(
        self, prompts: Sequence[Sequence[int]], choices: Sequence[Choices]
    ) -> list[list[float]]:
        """The log-prob of each choice after its prompt, end token included; see `Sampler`."""
        longest = max((len(choice) for some in choices for choice in some), default=0)
        self._check_lengths(prompts, longest)
        scores: list[list[float]] = [[] for _ in prompts]
        with _evaluating(self.model), torch.inference_mode():
            for chunk in self._score_chunks(prompts, choices):
                rows = [(index, choice) for index in chunk for choice in choices[index]]
                totals = self._score([prompts[index] for index, _ in rows], [c for _, c in rows])
                for (index, _), total in zip(rows, totals, strict=True):
                    scores[index].append(total)
        return scores

    def _decode(self, rows: "list[_Row]", temperature: float, top_p: float) -> None:
        """Decode these rows to their ends, one token of each at a time."""
        context = _Context(self.model, [row.read for row in rows])
        while True:
            ids = _draw(context.logits, rows, temperature, top_p)
            running = [index for index, row in enumerate(rows) if not row.done]
            if not running:
                return
            if len(running) <= DROP_AT * len(rows):
                rows = [rows[index] for index in running]
                context.keep(running)
                ids = ids[running]
            context.advance(ids)

    def _score_chunks(
        self, prompts: Sequence[Sequence[int]], choices: Sequence[Choices]
    ) -> Iterator[list[int]]:
        """Indices of prompts, by length: at most batch_size choices together, or one prompt."""
        chunk: list[int] = []
        size = 0
        for index in sorted(range(len(prompts)), key=lambda index: len(prompts[index])):
            if chunk and size + len(choices[index]) > self.batch_size:
                yield chunk
                chunk, size = [], 0
            chunk.append(index)
            size += len(choices[index])
        if size:
            yield chunk

    def _score(self, prompts: list[Sequence[int]], choices: list[Sequence[int]]) -> list[float]:
        """Total log-prob of choices[r] after prompts[r]: one prefill, one forward for the rest."""
        context = _Context(self.model, [tuple(prompt) for prompt in prompts])
        logits = context.logits.unsqueeze(1)
        longest = max(map(len, choices))
        padded = [[*choice, *[0] * (longest - len(choice))] for choice in choices]
        targets = torch.tensor(padded, device=logits.device)
        if longest > 1:
            logits = torch.cat([logits, context.read(targets[:, :-1])], dim=1)
        picked = logits.float().log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
        lengths = torch.tensor([len(choice) for choice in choices], device=logits.device)
        real = torch.arange(longest, device=logits.device) < lengths.unsqueeze(1)
        totals: list[float] = picked.where(real, 0.0).sum(-1).tolist()
        return totals

    def _check_lengths(self, prompts: Sequence[Sequence[int]], new: int) -> None:
        shortest, longest = min(map(len, prompts), default=1), max(map(len, prompts), default=1)
        if not shortest:
            raise EngineError("a prompt has no tokens", hint="show the model something to reply to")
        if self.longest and longest + new > self.longest:
            raise EngineError(
                f"prompt ({longest} tokens) and reply ({new}) exceed the model's {self.longest}",
                hint="use a shorter prompt (prompt.style: compact), a smaller"
                " sampling.max_new_tokens, or a model with a longer context",
            )


class _Row:
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
        self.stopped = self.done = False
        if branch is not None:
            tokens, self.branch = certain(branch)
            self._take(tokens, 0.0, ended=not self.branch)

        self.read = (*prompt, *self.ids)

    def append(self, token: int, logprob: float) -> None:
        """Take the token drawn for this row; with it the rest, if only one choice is left."""
        if self.done:
            return
        self._take([token], logprob, ended=token in self.stop_ids and self.branch is None)
        if self.branch is not None:
            self.branch = self.branch[token]
            tokens, end = certain(self.branch)
            if not end:
                self._take(tokens, 0.0, ended=True)

    def _take(self, tokens: list[int], logprob: float, *, ended: bool) -> None:
        self.ids += tokens
        self.logprobs += [logprob] * len(tokens)
        self.stopped = ended and len(self.ids) <= self.limit
        self.done = ended or len(self.ids) >= self.limit

    def sampled(self) -> Sampled:
        """The reply as the rest of the house knows it."""
        ids, logprobs = self.ids[: self.limit], self.logprobs[: self.limit]
        return Sampled(self.prompt, tuple(ids), tuple(logprobs), self.stopped)


class _Context:
    """What the model has read: keys and values of B rows, and `logits` [B, V] of the next token."""

    def __init__(self, model: "PreTrainedModel", prompts: Sequence[tuple[int, ...]]) -> None:
        place = {prompt: row for row, prompt in enumerate(dict.fromkeys(prompts))}
        width = max(map(len, place))
        pads = [width - len(prompt) for prompt in place]
        padded = [[0] * pad + list(prompt) for pad, prompt in zip(pads, place, strict=True)]
        self.model = model
        self.cache: Any = None
        self.seen = 0
        self.pads = torch.tensor(pads, device=model.device).unsqueeze(1) if any(pads) else None
        self.logits = self.read(torch.tensor(padded, device=model.device), keep=1)[:, -1]
        if len(place) < len(prompts):
            self.keep([place[prompt] for prompt in prompts])

    def read(self, ids: Tensor, keep: int = 0) -> Tensor:
        """Read ids [B, T]; return logits [B, T, V], or those of the last `keep` positions."""
        columns = torch.arange(self.seen + ids.shape[1], device=ids.device)
        mask = positions = None
        if self.pads is not None:  # without padding, attention is faster with no mask at all
            mask = (columns >= self.pads).long()
            positions = (columns[self.seen :] - self.pads).clamp_(min=0)
        out = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=keep,
        )
        self.cache, self.seen = out.past_key_values, len(columns)
        logits: Tensor = out.logits
        return logits

    def advance(self, ids: Tensor) -> None:
        """Read one more token a row, ids [B]."""
        self.logits = self.read(ids.unsqueeze(1))[:, -1]

    def keep(self, rows: list[int]) -> None:
        """Go on with these rows; a row named twice is two rows from here on."""
        index = torch.tensor(rows, device=self.logits.device)
        self.cache.batch_select_indices(index)
        self.logits = self.logits[index]
        self.pads = None if self.pads is None else self.pads[index]


def _draw(logits: Tensor, rows: Sequence[_Row], temperature: float, top_p: float) -> Tensor:
    """Draw one token a row from logits [B, V], append it to the row, and return all of them [B]."""
    masked = _mask(logits, [row.branch for row in rows])
    uniforms = torch.tensor([row.uniform() for row in rows], device=logits.device)
    ids, logprobs = draw(distribution(masked, temperature, top_p), uniforms)
    for row, token, logprob in zip(rows, ids.tolist(), logprobs.tolist(), strict=True):
        if math.isnan(logprob):
            raise EngineError(
                "the model's logits are not numbers",
                hint="its training diverged, or its dtype overflows: try model.dtype: float32",
            )
        row.append(token, logprob)
    return ids


def _branches(choices: Sequence[Choices | None]) -> list[Branch | None]:
    """The root of each prompt's trie; prompts with the same choices share one."""
    keys = [None if some is None else tuple(map(tuple, some)) for some in choices]
    roots = {key: TokenTrie(key).root for key in dict.fromkeys(keys) if key is not None}
    return [None if key is None else roots[key] for key in keys]


def _mask(logits: Tensor, branches: Sequence[Branch | None]) -> Tensor:
    """Logits [B, V] with -inf where a row's branch has no such token; no branch, no mask."""
    if not any(branches):
        return logits
    allowed = torch.tensor([not branch for branch in branches], device=logits.device)
    allowed = allowed.unsqueeze(1).repeat(1, logits.shape[1])
    pairs = [(row, token) for row, branch in enumerate(branches) for token in branch or ()]
    rows, tokens = zip(*pairs, strict=True)
    allowed[list(rows), list(tokens)] = True
    return logits.masked_fill(~allowed, -torch.inf)


@contextlib.contextmanager
def _evaluating(model: "PreTrainedModel") -> Iterator[None]:
    """Dropout off inside, and every module as it was afterwards."""
    training = [module for module in model.modules() if module.training]
    model.train(False)
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _stop_ids(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> Iterator[int]:
    """What ends a reply: the template's end of turn, and every eos of tokenizer and model."""
    yield end_of_reply(tokenizer)
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    several = configured if isinstance(configured, list) else [configured]
    yield from (int(id) for id in [tokenizer.eos_token_id, *several] if id is not None)
