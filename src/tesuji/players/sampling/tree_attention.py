"""Attention in a token tree: every node sees its ancestors and itself, no other pair is computed.

Queries are taken in blocks of nodes that stand together. What a block can see are the ancestors of
its first node and the block itself, a few columns of many; so the cost follows the tokens there
are, not the square of their number. It is exact, and takes gradients. transformers knows it as an
attention of its own; without a tree it is transformers' `sdpa`.

    use_tree_attention(model)
    model(**tree_inputs(model, plant(sequences)))      # logits [1, N, V] of the tree's N nodes

Models whose attention is their own take the same as a mask [N, N], at its cost.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from tesuji.players.sampling.head import whole
from tesuji.players.sampling.support import TREE_ATTENTION, attention_of
from tesuji.players.sampling.token_tree import TokenTree

BLOCK = 128  # queries: more cost pairs that are masked away, fewer cost calls
WIDEST_MASK = 1024  # nodes: the mask of more would cost more than a second tree


def tree_inputs(model: Any, tree: TokenTree, *, before: int = 0) -> dict[str, Any]:
    """What a model takes to read a tree, behind `before` tokens that its cache holds already and
    every sequence begins with."""
    device, dtype = model.device, model.dtype
    blocks = attention_of(model) == TREE_ATTENTION
    size = BLOCK if blocks else len(tree)
    seen = Blocks(tree.ends, dtype, device, before=before, block=size)
    return {
        "input_ids": torch.tensor([tree.ids], device=device),
        "position_ids": torch.tensor([tree.positions], device=device) + before,
        **({"tree": seen} if blocks else {"attention_mask": seen.parts[0][2][None, None]}),
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

    `before`: columns that stand before the tree in the cache, and are seen by all its nodes.
    """

    def __init__(
        self,
        ends: Sequence[int],
        dtype: torch.dtype,
        device: torch.device,
        *,
        before: int = 0,
        block: int = BLOCK,
    ) -> None:
        self.ends = torch.tensor(ends)
        self.before, self.dtype, self.device = before, dtype, device
        starts = range(0, len(ends), block)
        self.parts = [self._part(start, min(start + block, len(ends))) for start in starts]

    def _part(self, start: int, end: int) -> tuple[slice, slice | Tensor, Tensor]:
        path = (self.ends[:start] > start).nonzero().squeeze(1)  # the ancestors of `start`
        nodes = torch.cat([path, torch.arange(start, end)])
        query = torch.arange(start, end).unsqueeze(1)
        seen = (nodes <= query) & (query < self.ends[nodes])
        seen = torch.cat([torch.ones(end - start, self.before, dtype=torch.bool), seen], dim=1)
        mask = torch.zeros(seen.shape, dtype=self.dtype)
        mask.masked_fill_(~seen, torch.finfo(self.dtype).min)
        columns = torch.cat([torch.arange(self.before), nodes + self.before])
        whole = len(columns) == self.before + end  # nothing is left out
        chosen = slice(0, len(columns)) if whole else columns.to(self.device)
        return slice(start, end), chosen, mask.to(self.device)

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float | None, dropout: float
    ) -> Tensor:
        """Attention [1, N, H, D] of queries [1, H, N, D] to keys and values [1, G, S, D], the H
        heads in G groups."""
        heads, groups = query.shape[1], key.shape[1]
        outputs = []
        for rows, columns, mask in self.parts:
            asked = query[:, :, rows]
            count = asked.shape[2]
            seen_by = asked.reshape(1, groups, heads // groups * count, -1)
            k, v = (_columns(each, columns) for each in (key, value))
            out = nn.functional.scaled_dot_product_attention(
                seen_by,
                k,
                v,
                attn_mask=mask.repeat(heads // groups, 1),
                dropout_p=dropout,
                scale=scale,
            )
            outputs.append(out.reshape(1, heads, count, -1))
        return torch.cat(outputs, dim=2).transpose(1, 2).contiguous()


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
    if tree is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, **others
        )
    wanted = [
        name for name in ("softcap", "s_aux", "position_bias") if others.get(name) is not None
    ]
    if wanted:
        raise ValueError(f"the model's attention wants {', '.join(wanted)}")
    return tree.attend(query, key, value, scaling, dropout), None


AttentionInterface.register(TREE_ATTENTION, tree_attention)
AttentionMaskInterface.register(TREE_ATTENTION, sdpa_mask)
