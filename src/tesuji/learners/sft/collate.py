"""SFT rows as a batch: a tree of tokens, in which whatever rows begin alike with stands once.

For games, whose prompts share most of themselves, that is most of the work saved. Models that take
no masks of ours read plain rows, with padding behind, where no causal model sees it.
"""

from collections.abc import Sequence
from typing import Any

import torch

from tesuji.learners.sft.tokens import TokenRow
from tesuji.players.sampling.support import TREE_ATTENTION, attention_of
from tesuji.players.sampling.support_check import support_of
from tesuji.players.sampling.token_tree import plant


def to_columns(row: TokenRow) -> dict[str, Any]:
    """A row as the data set stores it; targets as two lists of lists, one entry a reply token."""
    return {
        "input_ids": [*row.prompt_ids, *row.reply_ids],
        "reply_length": len(row.reply_ids),
        "target_ids": [list(target) for target in row.targets],
        "target_shares": [list(target.values()) for target in row.targets],
    }


def reads_trees(model: Any) -> bool:
    """Whether a model reads a batch as one tree, at a cost that follows the tree's tokens."""
    return support_of(model).shared and attention_of(model) == TREE_ATTENTION


class SoftCollator:
    """Rows to the tensors of a batch, with the distinct places where tokens are predicted."""

    def __init__(self, pad_token_id: int, *, trees: bool) -> None:
        self.pad, self.trees = pad_token_id, trees

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """A batch: `input_ids`, of a `tree` [1, N] or padded [B, T], and what `_targets` gives of
        them read as one line. A row's last token is left out, for nothing is predicted by it.

        For transformers alone: `labels` [1, 1 + M] are the M reply tokens, which it counts from
        the second label on; `attention_mask` has a one for every token of every row, as often as
        it stands in a row. That is how the tokens seen are counted.
        """
        texts = [tuple(row["input_ids"][:-1]) for row in rows]
        read, nodes = self._tree(texts) if self.trees else self._padded(texts)
        lengths = [row["reply_length"] for row in rows]
        predicted = [
            node for some, n in zip(nodes, lengths, strict=True) for node in list(some)[-n:]
        ]
        replies = [
            token for row, n in zip(rows, lengths, strict=True) for token in row["input_ids"][-n:]
        ]
        return {
            **read,
            **_targets(rows, predicted),
            "labels": torch.tensor([[-100, *replies]]),
            "attention_mask": torch.ones(1, sum(map(len, texts)) + len(texts), dtype=torch.long),
        }

    def _tree(
        self, texts: Sequence[tuple[int, ...]]
    ) -> tuple[dict[str, Any], Sequence[Sequence[int]]]:
        tree = plant(texts)
        return {"input_ids": torch.tensor([tree.ids]), "tree": tree}, tree.nodes

    def _padded(
        self, texts: Sequence[tuple[int, ...]]
    ) -> tuple[dict[str, Any], Sequence[Sequence[int]]]:
        width = max(map(len, texts))
        ids = [[*text, *[self.pad] * (width - len(text))] for text in texts]
        starts = range(0, width * len(texts), width)
        nodes = [range(start, start + len(text)) for start, text in zip(starts, texts, strict=True)]
        return {"input_ids": torch.tensor(ids)}, nodes


def _targets(rows: Sequence[dict[str, Any]], predicted: Sequence[int]) -> dict[str, Any]:
    """From the place where each reply token is predicted: the P distinct `places`, how many reply
    tokens are predicted at each (`counts`); and of E pairs of a token taught and its share
    (`target_ids`, `target_shares`) which of the P places it belongs to (`target_at`, ascending;
    those of place p end at `target_ends[p]`)."""
    places, at, counts = torch.tensor(predicted).unique(return_inverse=True, return_counts=True)
    tokens = [some for row in rows for some in row["target_ids"]]
    shares = [share for row in rows for some in row["target_shares"] for share in some]
    at, order = at.repeat_interleave(torch.tensor([len(some) for some in tokens])).sort(stable=True)
    return {
        "places": places,
        "counts": counts,
        "target_at": at,
        "target_ids": torch.tensor([token for some in tokens for token in some])[order],
        "target_shares": torch.tensor(shares, dtype=torch.float32)[order],
        "target_ends": at.bincount(minlength=len(places)).cumsum(0).tolist(),
    }
