"""Segments packed into rows for the update: a prompt stands once before all replies to it.

A row is `prompt | reply 1 | reply 2 | ...`. Every token sees its row's prompt and its own reply,
with the positions it had when it was sampled, so that log-probs and gradient are those of the
segments one by one. How many replies share a row follows from what attention costs.

Shapes: R rows, L tokens in the longest, T trained tokens in the micro-batch, N in the rollout.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tesuji.core.types import Segment
from tesuji.players.sampling.kv_context import row_mask


@dataclass(frozen=True, slots=True)
class Branch:
    """What follows a prompt in one segment; `first`: the flat number of its first trained token."""

    ids: tuple[int, ...]
    trained: tuple[bool, ...]
    allowed: dict[int, tuple[int, ...]]
    first: int


@dataclass(slots=True)
class Row:
    """A prompt and the branches that share it."""

    prompt: tuple[int, ...]
    branches: list[Branch] = field(default_factory=list)
    length: int = 0

    def add(self, branch: Branch) -> None:
        """Append a branch."""
        self.branches.append(branch)
        self.length += len(branch.ids)


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """One forward pass. Trained token t is predicted at `places[t]` of the flattened [R * L].

    It stands itself at `own[t]`, where what follows it can be judged.
    `mask` [R, 1, L, L] is additive, or None where plain causal attention is right. `index` [T] are
    the flat numbers of the trained tokens; `allowed` holds (t, tokens) where not all were allowed.
    """

    ids: Tensor
    positions: Tensor
    mask: Tensor | None
    places: Tensor
    own: Tensor
    targets: Tensor
    index: Tensor
    allowed: tuple[tuple[int, tuple[int, ...]], ...]


def pack(
    segments: Sequence[Segment], first: Sequence[int], *, share: bool, width: int
) -> list[Row]:
    """Rows for these segments; `first[s]` is the flat index of segment s's first trained token.

    `width` is the model's hidden size: it tells what attention costs beside the rest.
    """
    open_: dict[tuple[int, ...], Row] = {}
    rows: list[Row] = []
    for segment, start in zip(segments, first, strict=True):
        prompt, branch = _split(segment, start)
        row = open_.get(prompt) if share else None
        if row is None or not _worth_sharing(row, len(branch.ids), width):
            row = Row(prompt, [], len(prompt))
            rows.append(row)
            open_[prompt] = row
        row.add(branch)
    return rows


def _split(segment: Segment, first: int) -> tuple[tuple[int, ...], Branch]:
    """The prompt, all before the first trained token, and the rest up to the last trained one."""
    trained = [turn >= 0 for turn in segment.turns]
    begin = trained.index(True)
    end = len(trained) - trained[::-1].index(True)
    allowed = {place - begin: tokens for place, tokens in segment.allowed.items()}
    branch = Branch(segment.token_ids[begin:end], tuple(trained[begin:end]), allowed, first)
    return segment.token_ids[:begin], branch


def _worth_sharing(row: Row, reply: int, width: int) -> bool:
    """Whether one more reply in this row costs less than a row of its own.

    A token costs about 6 * width query-key pairs in the linear layers; the shared row pays for
    the pairs with other replies that are masked away, a row of its own for the prompt again.
    """
    prompt = len(row.prompt)
    return 2 * reply * (row.length - prompt) < prompt * (prompt + 6 * width)


def micro_batches(rows: Sequence[Row], max_tokens: int) -> Iterator[list[Row]]:
    """Rows by length, as many together as fit into `max_tokens` with their padding."""
    batch: list[Row] = []
    for row in sorted(rows, key=lambda row: row.length):
        if batch and (len(batch) + 1) * row.length > max_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def collate(rows: Sequence[Row], device: torch.device) -> MicroBatch:
    """The tensors of one forward pass."""
    length = max(row.length for row in rows)
    places: list[int] = []
    own: list[int] = []
    targets: list[int] = []
    index: list[int] = []
    allowed: list[tuple[int, tuple[int, ...]]] = []
    for number, row in enumerate(rows):
        prompt = column = len(row.prompt)
        for branch in row.branches:
            for offset in (offset for offset, trained in enumerate(branch.trained) if trained):
                if offset in branch.allowed:
                    allowed.append((len(places), branch.allowed[offset]))
                before = column + offset if offset else prompt  # a reply follows on the prompt
                places.append(number * length + before - 1)
                own.append(number * length + column + offset)
                targets.append(branch.ids[offset])
            index += range(branch.first, branch.first + sum(branch.trained))
            column += len(branch.ids)
    ids, positions, owners = zip(*(_columns(row, length) for row in rows), strict=True)
    shared = any(len(row.branches) > 1 for row in rows)
    return MicroBatch(
        ids=torch.tensor(ids, device=device),
        positions=torch.tensor(positions, device=device),
        mask=row_mask(torch.tensor(owners, device=device)) if shared else None,
        places=torch.tensor(places, device=device),
        own=torch.tensor(own, device=device),
        targets=torch.tensor(targets, device=device),
        index=torch.tensor(index, device=device),
        allowed=tuple(allowed),
    )


def _columns(row: Row, length: int) -> tuple[list[int], list[int], list[int]]:
    """A row's tokens, their positions, and their owners as `row_mask` wants them, padded."""
    prompt = len(row.prompt)
    ids, positions, owners = [*row.prompt], [*range(prompt)], [0] * prompt
    for owner, branch in enumerate(row.branches, start=1):
        ids += branch.ids
        positions += range(prompt, prompt + len(branch.ids))
        owners += [owner] * len(branch.ids)
    padding = length - len(ids)
    return ids + [0] * padding, positions + [0] * padding, owners + [-1] * padding
