"""Texts of one length read by a model whose cache is its own affair: states of recurrent layers,
windows, compressed keys. Rows are never padded, regrouped or joined; where the cache does not give
what reading again does, texts are read again.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tesuji.core.tensors import on_device

CACHES = ("past_key_values", "cache_params", "state")  # what models call theirs


class PlainContext:
    """Rows that have read texts of one length; `logits` [R, V] is what came after these."""

    def __init__(self, model: Any, texts: Sequence[Sequence[int]], *, cached: bool) -> None:
        self.model = model
        self.cached = cached
        self.ids = on_device([list(text) for text in texts], model.device)
        self.rows = torch.arange(len(texts), device=model.device)  # those that are still asked for
        self.cache: dict[str, Any] = {}
        self.logits = self._forward(self.ids)

    def advance(self, ids: Tensor, idle: Sequence[bool] | None = None) -> Tensor:
        """Read one more token a row, ids [R], idle ones too; returns the logits [R, V]."""
        fresh = torch.zeros(len(self.ids), 1, dtype=torch.long, device=self.ids.device)
        fresh[self.rows, 0] = ids.to(self.ids.device)
        self.ids = torch.cat([self.ids, fresh], dim=1)
        self.logits = self._forward(fresh if self.cached else self.ids)[self.rows]
        return self.logits

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows. A cache stays whole: the others read on and are not asked."""
        self.rows = self.rows[on_device(rows, self.ids.device)]
        if not self.cached:
            self.ids = self.ids[self.rows]
            self.rows = torch.arange(len(rows), device=self.ids.device)

    def _forward(self, ids: Tensor) -> Tensor:
        if not self.cached:
            logits: Tensor = self.model(input_ids=ids, use_cache=False).logits[:, -1]
            return logits
        out = self.model(input_ids=ids, use_cache=True, **self.cache)
        caches = ((name, getattr(out, name, None)) for name in CACHES)
        self.cache = {name: cache for name, cache in caches if cache is not None}
        if not self.cache:
            raise ValueError("it returns no cache")
        last: Tensor = out.logits[:, -1]
        return last
