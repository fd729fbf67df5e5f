"""The log-probs of given replies: what perplexity, preferences and soft metrics are computed from.

Where a model takes token trees, prompts and replies are read as such, and logits are computed
only where a reply's token is foretold. Where it takes padding, a prompt is read once for all of
its replies; elsewhere whole texts are read. Memory is bounded whatever the number of replies.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tesuji.core.tensors import on_device
from tesuji.players.sampling.head import layers, own_logits
from tesuji.players.sampling.kv_context import read_once
from tesuji.players.sampling.prefix_cache import Beginnings
from tesuji.players.sampling.support import Support
from tesuji.players.sampling.token_tree import forest

TOKENS = 1 << 16  # most tokens of padded rows in one forward pass
LOGITS = 1 << 26  # most logits at once: 256 MB in float32

Read = Callable[[Any, list[tuple[int, ...]], Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Scoring:
    """A reply to be scored behind its prompt."""

    prompt: tuple[int, ...]
    reply: tuple[int, ...]

    @property
    def text(self) -> tuple[int, ...]:
        """All tokens that something is foretold after."""
        return (*self.prompt, *self.reply[:-1])


def tree_scores(model: Any, beginnings: Beginnings, rows: Sequence[Scoring]) -> list[float]:
    """The log-prob of each reply; for models that take trees."""
    scores = [0.0] * len(rows)
    texts = [row.text for row in rows]
    for part in forest(texts, beginnings.most):
        totals = _of_tree(model, beginnings, [rows[number] for number in part])
        for number, total in zip(part, totals, strict=True):
            scores[number] = total
    return scores


def _of_tree(model: Any, beginnings: Beginnings, rows: Sequence[Scoring]) -> list[float]:
    since = [len(row.prompt) - 1 for row in rows]
    reading = beginnings.plan([row.text for row in rows], since)
    out = layers(model)(**reading.inputs)
    beginnings.keep(reading, out.past_key_values)
    places = [
        reading.columns[node] - reading.before
        for nodes, at in zip(reading.tree.nodes, since, strict=True)
        for node in nodes[at:]
    ]
    tokens = torch.tensor([token for row in rows for token in row.reply])
    owner = [number for number, row in enumerate(rows) for _ in row.reply]
    logps = _logprobs(model, out.last_hidden_state[0], places, tokens)
    totals = [0.0] * len(rows)
    for number, logp in zip(owner, logps.tolist(), strict=True):
        totals[number] += logp
    return totals


def _logprobs(model: Any, states: Tensor, places: Sequence[int], tokens: Tensor) -> Tensor:
    """The log-prob of tokens[i] (on the CPU) after the hidden state at places[i]; logits of each
    place once."""
    distinct, at = torch.unique(torch.tensor(places), return_inverse=True)
    device = states.device
    result = torch.empty(len(tokens), device=device)
    size = max(1, LOGITS // int(model.config.get_text_config().vocab_size))
    for start in range(0, len(distinct), size):
        some = on_device(distinct[start : start + size], device)
        here = ((at >= start) & (at < start + size)).nonzero().squeeze(1)
        asked = [on_device(each, device) for each in (here, at[here] - start, tokens[here])]
        logps = own_logits(model, states[some]).float().log_softmax(-1)
        result[asked[0]] = logps[asked[1], asked[2]]
    return result


def padded_scores(
    model: Any, support: Support, rows: Sequence[Scoring], batch_size: int
) -> list[float]:
    """The same for all other models, in batches of at most `batch_size` replies."""
    scores = [0.0] * len(rows)
    vocabulary = int(model.config.get_text_config().vocab_size)
    read = _read_again if support.plain else _read_on
    for part in _batches(rows, batch_size, vocabulary):
        totals = _of_rows(model, [rows[number] for number in part], read)
        for number, total in zip(part, totals, strict=True):
            scores[number] = total
    return scores


def _batches(rows: Sequence[Scoring], batch_size: int, vocabulary: int) -> Iterator[list[int]]:
    """Numbers of rows by the length of their prompts, as many as one forward pass should hold."""
    part: list[int] = []
    longest = 0
    for number in sorted(range(len(rows)), key=lambda n: (len(rows[n].prompt), rows[n].prompt)):
        row, count = rows[number], len(part) + 1
        reply = max(longest, len(row.reply))
        tokens = count * (len(row.prompt) + reply)
        full = count > batch_size or tokens > TOKENS or count * reply * vocabulary > LOGITS
        if part and full:
            yield part
            part, reply = [], len(row.reply)
        part.append(number)
        longest = reply
    if part:
        yield part


def _of_rows(model: Any, rows: Sequence[Scoring], read: Read) -> list[float]:
    longest = max(len(row.reply) for row in rows)
    padded = [[*row.reply, *[0] * (longest - len(row.reply))] for row in rows]
    targets = on_device(padded, model.device)
    logits = read(model, [row.prompt for row in rows], targets)
    picked = logits.float().log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    lengths = on_device([len(row.reply) for row in rows], logits.device)
    real = torch.arange(longest, device=logits.device) < lengths.unsqueeze(1)
    totals: list[float] = picked.where(real, 0.0).sum(-1).tolist()
    return totals


def _read_on(model: Any, prompts: list[tuple[int, ...]], targets: Tensor) -> Tensor:
    """The logits [B, T, V] that foretell targets [B, T]: one prefill, one forward for the rest."""
    context, last = read_once(model, prompts, masks=False)
    logits = last.unsqueeze(1)
    if targets.shape[1] > 1:
        logits = torch.cat([logits, context.read_all(targets[:, :-1])], dim=1)
    return logits


def _read_again(model: Any, prompts: list[tuple[int, ...]], targets: Tensor) -> Tensor:
    """The same by one forward over whole texts, padded on the right, where no causal model sees
    it."""
    texts = [[*p, *rest[:-1]] for p, rest in zip(prompts, targets.tolist(), strict=True)]
    width = max(map(len, texts))
    ids = torch.tensor([text + [0] * (width - len(text)) for text in texts], device=targets.device)
    logits: Tensor = model(input_ids=ids, use_cache=False).logits
    size = targets.shape[1]
    ends = [slice(len(prompt) - 1, len(prompt) - 1 + size) for prompt in prompts]
    return torch.stack([row[end] for row, end in zip(logits, ends, strict=True)])
