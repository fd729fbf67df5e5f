"""Segments laid out for a forward pass of the update: as one tree of tokens, or as padded rows.

In a tree (`players/sampling/token_tree.py`) whatever several segments begin with stands once, with
its gradient: a prompt before all replies to it, what different prompts have in common, equal
replies. Log-probs and gradient are those of the segments one by one. Rows are for models that take
no trees.

Shapes: R rows of L tokens (a tree: one row), P distinct places where a token is predicted, T
trained tokens in the micro-batch, N in the rollout.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tesuji.core.tensors import on_device
from tesuji.core.types import Segment
from tesuji.players.sampling.token_tree import TokenTree, forest, plant


@dataclass(frozen=True, slots=True)
class Row:
    """A segment as far as it is read: the places of its trained tokens (the last may stand behind
    `ids`), those tokens, those allowed there (none named: all), and the flat number of the first.
    """

    ids: tuple[int, ...]
    trained: tuple[int, ...]
    targets: tuple[int, ...]
    allowed: Mapping[int, tuple[int, ...]]
    first: int


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """One forward pass over `ids` [R, L]; `tree` is None for padded rows.

    Of the flattened [R * L] those at `places` [P] predict. Trained token t is predicted at
    `places[asked[t]]` and stands itself at `own[t]`, where a critic judges what follows it (without
    one the last may not be there); `asked` [T] ascends, `asked_on_cpu` are the
    same numbers. `index` [T] are the flat numbers of the trained tokens; `allowed` holds (p,
    tokens) where not all were allowed.
    """

    ids: Tensor
    tree: TokenTree | None
    places: Tensor
    asked: Tensor
    asked_on_cpu: tuple[int, ...]
    own: Tensor
    targets: Tensor
    index: Tensor
    allowed: tuple[tuple[int, tuple[int, ...]], ...]


def row_of(segment: Segment, first: int, *, judged: bool) -> Row:
    """A segment with trained tokens, the first of them number `first` of the rollout's. The last
    one needs to be read only where a critic judges what follows it."""
    trained = tuple(place for place, turn in enumerate(segment.turns) if turn >= 0)
    targets = tuple(segment.token_ids[place] for place in trained)
    ids = segment.token_ids[: trained[-1] + judged]
    return Row(ids, trained, targets, segment.allowed, first)


def micro_batches(rows: Sequence[Row], most: int, *, trees: bool) -> Iterator[list[Row]]:
    """Rows for a forward pass each, of at most `most` tokens or one row. In a tree what is common
    counts once; else rows stand together by length, and padding counts too."""
    if trees:
        for numbers in forest([row.ids for row in rows], most):
            yield [rows[number] for number in numbers]
        return
    batch: list[Row] = []
    for row in sorted(rows, key=lambda row: len(row.ids)):
        if batch and (len(batch) + 1) * len(row.ids) > most:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def collate(rows: Sequence[Row], device: torch.device, *, trees: bool) -> MicroBatch:
    """The tensors of one forward pass."""
    tree = plant([row.ids for row in rows]) if trees else None
    length = max(len(row.ids) for row in rows)
    ids = [tree.ids] if tree else [row.ids + (0,) * (length - len(row.ids)) for row in rows]
    nodes = tree.nodes if tree else [range(n * length, (n + 1) * length) for n in range(len(rows))]
    asked: dict[tuple[int, tuple[int, ...] | None], int] = {}
    tokens: list[tuple[int, ...]] = []
    for row, path in zip(rows, nodes, strict=True):
        for number, (place, token) in enumerate(zip(row.trained, row.targets, strict=True)):
            question = path[place - 1], row.allowed.get(place)
            own = path[min(place, len(row.ids) - 1)]
            asked.setdefault(question, len(asked))
            tokens.append((asked[question], own, token, row.first + number))
    tokens.sort()
    numbers = on_device(tokens, device)
    return MicroBatch(
        ids=on_device(ids, device),
        tree=tree,
        places=on_device([node for node, _ in asked], device),
        asked=numbers[:, 0],
        asked_on_cpu=tuple(place for place, *_ in tokens),
        own=numbers[:, 1],
        targets=numbers[:, 2],
        index=numbers[:, 3],
        allowed=tuple((p, some) for (_, some), p in asked.items() if some is not None),
    )
