"""Keys and values in tensors with room to grow: a token more is written, not copied together.

transformers' own growing cache joins the old and the new at every step; with long prompts and many
rows that copying costs as much as the attention.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicLayer

ROOM = 32  # columns made ready at least, whenever there are too few


class RoomyLayer(DynamicLayer):
    """One layer's keys and values [B, H, S, D], views of larger tensors."""

    keys: Tensor
    values: Tensor

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._whole: tuple[Tensor, Tensor] | None = None
        self._view: Tensor | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append [B, H, T, D]; returns all keys and all values."""
        if not self.is_initialized:
            self.dtype, self.device = key_states.dtype, key_states.device
            self.keys, self.values, self.is_initialized = key_states, value_states, True
            return self.keys, self.values
        begin = self.keys.shape[-2]
        end = begin + key_states.shape[-2]
        if self._whole is None or self._view is not self.keys or self._whole[0].shape[-2] < end:
            self._whole = (_with_room(self.keys, end), _with_room(self.values, end))
        keys, values = self._whole
        keys[:, :, begin:end] = key_states
        values[:, :, begin:end] = value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        self._view = self.keys
        return self.keys, self.values

    def keep(self, rows: Sequence[int], index: Tensor) -> None:
        """Go on with these rows, which `index` holds on the device. Fewer rows in the same order
        are moved up where they stand: fresh memory for all of them costs more than the copying."""
        if self._whole is None or self._view is not self.keys or not _ascending(rows):
            self.batch_select_indices(index)
            return
        end = self.keys.shape[-2]
        for whole in self._whole:
            for place, row in enumerate(rows):
                if place != row:
                    whole[place, :, :end] = whole[row, :, :end]
        keys, values = self._whole = (self._whole[0][: len(rows)], self._whole[1][: len(rows)])
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        self._view = self.keys


def _ascending(rows: Sequence[int]) -> bool:
    return all(before < after for before, after in itertools.pairwise(rows))


def roomy_cache() -> Cache:
    """An empty cache of such layers, for models whose layers all see everything before them."""
    return Cache(layer_class_to_replicate=RoomyLayer)


def _with_room(tensor: Tensor, needed: int) -> Tensor:
    """The same beginning in a tensor with room for `needed` columns and some more."""
    count, heads, length, depth = tensor.shape
    whole = torch.empty(
        (count, heads, needed + max(ROOM, needed // 4), depth),
        dtype=tensor.dtype,
        device=tensor.device,
    )
    whole[:, :, :length] = tensor
    return whole
