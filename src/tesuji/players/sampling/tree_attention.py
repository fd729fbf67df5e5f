"""Attention in a token tree: every node sees its ancestors and itself, no other pair is computed.

Queries are taken in blocks of nodes that stand together. What a block can see are the ancestors of
its first node and the block itself, a few columns of many; so the cost follows the tokens there
are, not the square of their number. It is exact, and takes gradients. transformers knows it as an
attention of its own; without a tree it is transformers' `sdpa`, but for one token a row, where that
would copy keys and values for every head that shares them.

    use_tree_attention(model)
    model(**tree_inputs(model, plant(sequences)))      # logits [1, N, V] of the tree's N nodes

Models whose attention is their own take the same as a mask [N, N], at its cost.
"""

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from tesuji.core.tensors import on_device
from tesuji.players.sampling.head import whole
from tesuji.players.sampling.support import TREE_ATTENTION, attention_of
from tesuji.players.sampling.token_tree import TokenTree

BLOCK = 128  # queries: more cost pairs that are masked away, fewer cost calls
WIDEST_MASK = 1024  # nodes: the mask of more would cost more than a second tree

# columns, and blocks that see the first of these: each its queries and an additive mask
Part = tuple[slice | Tensor, list[tuple[slice, Tensor]]]


def tree_inputs(model: Any, tree: TokenTree, kept: Sequence[int] = ()) -> dict[str, Any]:
    """What a model takes to read a tree, but for the nodes that its cache holds already: `kept[c]`
    is the node of the cache's column c, `len(tree)` where it is none of this tree's."""
    device = model.device
    blocks = Blocks(tree.ends, model.dtype, device, kept=kept)
    in_blocks = attention_of(model) == TREE_ATTENTION
    # in blocks any mask of four dimensions does: transformers then makes none of its own [N, N]
    mask = torch.zeros(1, 1, 1, 1, device=device) if in_blocks else blocks.mask()
    return {
        "input_ids": on_device([[tree.ids[node] for node in blocks.fresh]], device),
        "position_ids": on_device([[tree.positions[n] for n in blocks.fresh]], device),
        "attention_mask": mask,
        **({"tree": blocks} if in_blocks else {}),
    }


def widest_tree(model: Any) -> int:
    """The most nodes that a tree of this model should have, whatever the memory."""
    return 1 << 40 if attention_of(model) == TREE_ATTENTION else WIDEST_MASK


def use_tree_attention(model: Any, *, on: bool = True) -> None:
    """A model that runs on `sdpa` takes `tree=` too from now on; or (`on=False`) no longer."""
    base = whole(model)
    old, new = ("sdpa", TREE_ATTENTION) if on else (TREE_ATTENTION, "sdpa")
    if attention_of(base) == old and base._can_set_attn_implementation():
        base.set_attn_implementation(new)


class Blocks:
    """A tree's nodes in blocks of queries, each with the columns it sees and an additive mask.

    `kept`: the nodes of the columns that stand in the cache already, len(ends) for none of these;
    behind them come the `fresh` nodes, all others, in their order.
    """

    def __init__(
        self,
        ends: Sequence[int],
        dtype: torch.dtype,
        device: torch.device,
        *,
        kept: Sequence[int] = (),
        block: int = BLOCK,
    ) -> None:
        held = set(kept)
        self.fresh = [node for node in range(len(ends)) if node not in held]
        self.nodes = torch.tensor([*kept, *self.fresh])  # of each column
        self.ends = torch.tensor([*ends, 0])[self.nodes]
        self.before, self.block, self.dtype, self.device = len(kept), block, dtype, device
        self._repeated: dict[int, list[Part]] = {}

    @functools.cached_property
    def parts(self) -> list[Part]:
        """All blocks. Those that stand behind each other in one sequence are one part, for each
        sees what the one before it saw and more."""
        starts = range(0, len(self.fresh), self.block)
        ranges = [slice(start, min(start + self.block, len(self.fresh))) for start in starts]
        parts: list[tuple[Tensor, list[slice]]] = []
        for rows in reversed(ranges):
            columns = self._seen(rows)
            if parts and torch.equal(parts[-1][0][: len(columns)], columns):
                parts[-1][1].append(rows)
            else:
                parts.append((columns, [rows]))
        return [self._part(columns, some[::-1]) for columns, some in reversed(parts)]

    def mask(self) -> Tensor:
        """Of everything at once: [1, 1, queries, columns]."""
        return self._mask(self.nodes[self.before :], torch.arange(len(self.nodes)))[None, None]

    def _seen(self, rows: slice) -> Tensor:
        """The columns that some of these queries see, ascending."""
        query = self.nodes[self.before :][rows]
        return ((self.nodes <= query[-1]) & (query[0] < self.ends)).nonzero().squeeze(1)

    def _part(self, columns: Tensor, blocks: list[slice]) -> Part:
        whole = len(columns) == int(columns[-1]) + 1  # nothing is left out
        chosen = slice(0, len(columns)) if whole else on_device(columns, self.device)
        masks = []
        for rows in blocks:
            seen = columns[: len(self._seen(rows))]
            masks.append((rows, self._mask(self.nodes[self.before :][rows], seen)))
        return chosen, masks

    def _mask(self, query: Tensor, columns: Tensor) -> Tensor:
        asked = query.unsqueeze(1)
        seen = (self.nodes[columns] <= asked) & (asked < self.ends[columns])
        mask = torch.zeros(seen.shape, dtype=self.dtype)
        return on_device(mask.masked_fill_(~seen, torch.finfo(self.dtype).min), self.device)

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float | None, dropout: float
    ) -> Tensor:
        """Attention [1, N, H, D] of queries [1, H, N, D] to keys and values [1, G, S, D], the H
        heads in G groups."""
        heads, groups = query.shape[1], key.shape[1]
        outputs = []
        for columns, blocks in self._parts_for(heads // groups):
            k, v = (_columns(each, columns) for each in (key, value))
            for rows, mask in blocks:
                asked = query[:, :, rows]
                count = asked.shape[2]
                out = nn.functional.scaled_dot_product_attention(
                    asked.reshape(1, groups, heads // groups * count, -1),
                    k[:, :, : mask.shape[1]],
                    v[:, :, : mask.shape[1]],
                    attn_mask=mask,
                    dropout_p=dropout,
                    scale=scale,
                )
                outputs.append(out.reshape(1, heads, count, -1))
        return torch.cat(outputs, dim=2).transpose(1, 2).contiguous()

    def _parts_for(self, times: int) -> list[Part]:
        """The parts, their masks repeated for so many heads of a group; made once for all layers,
        for each of them keeps what it has read until its gradient is there."""
        if times not in self._repeated:
            self._repeated[times] = [
                (columns, [(rows, mask.repeat(times, 1)) for rows, mask in blocks])
                for columns, blocks in self.parts
            ]
        return self._repeated[times]


def _columns(tensor: Tensor, chosen: slice | Tensor) -> Tensor:
    return tensor[:, :, chosen] if isinstance(chosen, slice) else tensor.index_select(2, chosen)


def tree_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    tree: Blocks | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """What transformers calls in every layer. Raises ValueError where a model wants more of its
    attention than is done here."""
    wanted = [
        name for name in ("softcap", "s_aux", "position_bias") if others.get(name) is not None
    ]
    if tree is None and query.shape[2] == 1 and not dropout and not wanted:
        return _of_one_token(query, key, value, attention_mask, scaling), None
    if tree is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, **others
        )
    if wanted:
        raise ValueError(f"the model's attention wants {', '.join(wanted)}")
    return tree.attend(query, key, value, scaling, dropout), None


def _of_one_token(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float | None
) -> Tensor:
    """Attention [B, 1, H, D] of one token a row, the heads of a group as its queries: sdpa would
    copy keys and values for each head first."""
    rows, heads, _, depth = query.shape
    asked = query.reshape(rows, key.shape[1], -1, depth)
    out = nn.functional.scaled_dot_product_attention(asked, key, value, attn_mask=mask, scale=scale)
    return out.reshape(rows, 1, heads, -1)


AttentionInterface.register(TREE_ATTENTION, tree_attention)
AttentionMaskInterface.register(TREE_ATTENTION, sdpa_mask)
