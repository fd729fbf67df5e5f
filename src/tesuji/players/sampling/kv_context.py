"""What a model has read, kept as keys and values, so that no token is read twice.

A context has R rows. In a plain one each row is one text. In a shared one each row is a prompt with
several replies growing from it: all of them stand in the row's columns, each sees the prompt and
its own tokens only, and the prompt is there once.

`owner` [R, S] says whom a column belongs to: 0 everybody, k > 0 the k-th reply, -1 nobody.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tesuji.core.tensors import on_device
from tesuji.players.sampling.kv_buffer import roomy_cache

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NOBODY, ALL = -1, 0


class Context:
    """Keys and values of R rows of S columns, and where each row stands.

    `lengths[r]` is how many tokens row r has read (in a shared context: its prompt's).
    """

    def __init__(self, model: "PreTrainedModel", *, masks: bool) -> None:
        self.model = model
        self.masks = masks  # whether the model takes masks of ours, as sharing wants them
        self.cache: Any = roomy_cache() if masks else None
        self.owner = torch.zeros(0, 0, dtype=torch.int32, device=model.device)
        self.lengths: list[int] = []
        self.holes = False  # whether some column belongs to nobody

    @classmethod
    def of(
        cls, model: "PreTrainedModel", prompts: Sequence[Sequence[int]], *, masks: bool
    ) -> tuple["Context", Tensor]:
        """A plain context that has read the prompts, and the logits [R, V] after each."""
        context = cls(model, masks=masks)
        context.owner = torch.zeros(len(prompts), 0, dtype=torch.int32, device=model.device)
        context.lengths = [0] * len(prompts)
        return context, context.read(prompts)

    @classmethod
    def of_columns(
        cls, model: "PreTrainedModel", cache: Any, columns: Sequence[Sequence[int]]
    ) -> "Context":
        """A plain context whose row r has read what stands in `columns[r]` of the only row of a
        cache; for models that take masks of ours."""
        context = cls(model, masks=True)
        context.lengths = [len(some) for some in columns]
        width = max(context.lengths)
        gaps = [width - length for length in context.lengths]
        column = torch.arange(width, device=model.device)
        holes = column < on_device(gaps, model.device).unsqueeze(1)
        context.owner = torch.where(holes, NOBODY, ALL).to(torch.int32)
        context.holes = any(gaps)
        padded = [[0] * (width - len(some)) + list(some) for some in columns]
        context.cache = columns_of(cache, on_device(padded, model.device))
        return context

    @property
    def width(self) -> int:
        """Columns, those that belong to nobody included."""
        return self.owner.shape[1]

    def read(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """Read more of each row, at least one token; returns the logits [R, V] after it."""
        width = max(map(len, texts))
        pads = [width - len(text) for text in texts]
        rows = zip(pads, texts, self.lengths, strict=True)
        ids = [[0] * pad + list(text) for pad, text in zip(pads, texts, strict=True)]
        positions = [[0] * pad + list(range(at, at + len(text))) for pad, text, at in rows]
        owner = torch.zeros(len(texts), width, dtype=torch.int32, device=self.owner.device)
        if any(pads):
            column = torch.arange(width, device=owner.device)
            owner[column < on_device(pads, owner.device).unsqueeze(1)] = NOBODY
        self.owner = torch.cat([self.owner, owner], dim=1)
        self.holes = self.holes or any(pads)
        logits = self._forward(torch.tensor(ids), positions, self._mask(), keep=1)[:, -1]
        self.lengths = [at + len(text) for at, text in zip(self.lengths, texts, strict=True)]
        return logits

    def advance(self, ids: Tensor, idle: Sequence[bool] | None = None) -> Tensor:
        """Read one more token a row, ids [R]; returns the logits [R, V]. What an idle row is given
        belongs to nobody, so that it can be gone on with later."""
        idle = idle or [False] * len(self.lengths)
        self.holes = self.holes or any(idle)
        column = on_device(
            [NOBODY if rest else ALL for rest in idle], self.owner.device, torch.int32
        )
        self.owner = torch.cat([self.owner, column.unsqueeze(1)], dim=1)
        positions = [[at] for at in self.lengths]
        self.lengths = [at + (not rest) for at, rest in zip(self.lengths, idle, strict=True)]
        mask = self._mask()
        if mask is not None and self.masks:  # of two dimensions, transformers would look into it
            mask = self._added(mask.bool()[:, None, None])
        return self._forward(ids.unsqueeze(1), positions, mask, keep=0)[:, -1]

    def read_all(self, ids: Tensor) -> Tensor:
        """Read ids [R, T] in a plain context; returns the logits [R, T, V] after every one."""
        count, width = ids.shape
        fresh = torch.zeros(count, width, dtype=torch.int32, device=self.owner.device)
        self.owner = torch.cat([self.owner, fresh], dim=1)
        positions = [list(range(at, at + width)) for at in self.lengths]
        self.lengths = [at + width for at in self.lengths]
        return self._forward(ids, positions, self._mask(), keep=0)

    def read_shared(self, ids: list[list[int]], owners: list[list[int]], step: int) -> Tensor:
        """One token of each reply: ids and owners [R, W], a row's replies side by side (owner -1
        fills up). It is each reply's token number `step`. Returns logits [R, W, V]."""
        mine = on_device(owners, self.owner.device, torch.int32)
        self.owner = torch.cat([self.owner, mine], dim=1)
        key, query = self.owner.unsqueeze(1), mine.unsqueeze(2)
        seen = (key == ALL) | (key == query)
        positions = [[length + step] * len(ids[0]) for length in self.lengths]
        mask = self._added(seen.unsqueeze(1))
        return self._forward(torch.tensor(ids), positions, mask, keep=0)

    def _mask(self) -> Tensor | None:
        """Which columns count [R, S]; None where all do, for attention is faster without."""
        return (self.owner >= 0).long() if self.holes else None

    def _added(self, seen: Tensor) -> Tensor:
        """What is seen [R, 1, W, S] as a mask that is added."""
        mask = torch.zeros(seen.shape, dtype=self.model.dtype, device=seen.device)
        return mask.masked_fill_(~seen, torch.finfo(mask.dtype).min)

    def _forward(
        self, ids: Tensor, positions: list[list[int]], mask: Tensor | None, keep: int
    ) -> Tensor:
        device = self.owner.device
        plain = mask is None and self.owner.shape[1] == ids.shape[1]  # nothing read before
        out = self.model(
            input_ids=on_device(ids, device),
            attention_mask=mask,
            position_ids=None if plain else on_device(positions, device),
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=keep,
        )
        self.cache = out.past_key_values
        logits: Tensor = out.logits
        return logits

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows; a row named twice is two rows from here on."""
        index = on_device(rows, self.owner.device)
        if self.masks:
            for layer in self.cache.layers:
                layer.keep(rows, index)
        else:
            self.cache.batch_select_indices(index)
        self.owner = self.owner[index]
        self.lengths = [self.lengths[row] for row in rows]

    def pick(self, texts: Sequence[tuple[int, int]]) -> "Context":
        """A plain context of its own with a row for each (row, owner)."""
        rows, owners = on_device(texts, self.owner.device).T
        owner = self.owner[rows]
        ours = (owner == ALL) | (owner == owners.unsqueeze(1))
        plain = all(owner == ALL for _, owner in texts)
        counts = [self.lengths[row] for row, _ in texts] if plain else ours.sum(1).tolist()
        width = max(counts)
        columns = torch.argsort(ours.int(), dim=1, stable=True)[:, -width:]  # others to the left
        kept = torch.gather(ours, 1, columns)
        picked = Context(self.model, masks=self.masks)
        picked.cache = columns_of(self.cache, columns, rows)
        picked.owner = torch.where(kept, ALL, NOBODY).to(torch.int32)
        picked.holes = min(counts) < width
        picked.lengths = [self.lengths[row] for row, _ in texts]
        return picked


def read_once(
    model: "PreTrainedModel", texts: Sequence[tuple[int, ...]], *, masks: bool
) -> tuple[Context, Tensor]:
    """A plain context that has read the texts, each distinct one once, and the logits [B, V]."""
    place = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    context, logits = Context.of(model, list(place), masks=masks)
    if len(place) < len(texts):
        rows = [place[text] for text in texts]
        context.keep(rows)
        logits = logits[on_device(rows, logits.device)]
    return context, logits


def joined(contexts: Sequence[Context]) -> Context:
    """Plain contexts as one, their rows one after the other."""
    if len(contexts) == 1:
        return contexts[0]
    whole = Context(contexts[0].model, masks=contexts[0].masks)
    width = max(context.owner.shape[1] for context in contexts)
    gaps = [width - context.owner.shape[1] for context in contexts]
    pad = torch.nn.functional.pad
    whole.owner = torch.cat(
        [pad(c.owner, (gap, 0), value=NOBODY) for c, gap in zip(contexts, gaps, strict=True)]
    )
    whole.holes = any(gaps) or any(context.holes for context in contexts)
    whole.lengths = [length for context in contexts for length in context.lengths]
    whole.cache = contexts[0].cache
    for number, layer in enumerate(whole.cache.layers):
        layers = [context.cache.layers[number] for context in contexts]
        for part in ("keys", "values"):
            tensors = [getattr(each, part) for each in layers]
            padded = [pad(t, (0, 0, gap, 0)) for t, gap in zip(tensors, gaps, strict=True)]
            setattr(layer, part, torch.cat(padded))
    return whole


def columns_of(cache: Any, columns: Tensor, rows: Tensor | None = None) -> Any:
    """A new cache with the given columns [B, S] of the given rows [B] of each layer, or of its
    first row."""
    rows = torch.zeros_like(columns[:, 0]) if rows is None else rows
    fresh: Any = roomy_cache()
    for number, layer in enumerate(cache.layers):
        keys, values = (
            part.transpose(1, 2)[rows.unsqueeze(1), columns].transpose(1, 2)
            for part in (layer.keys, layer.values)
        )
        fresh.update(keys, values, number)
    return fresh
