"""A rollout's trained tokens in one line: which segment, trace and turn each belongs to.

Everything per token (advantages, old log-probs, values) is an array [N] in this order: traces in
order, each trace's segments in order, each segment's trained tokens in order.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from tesuji.core.types import Segment, Trace
from tesuji.learners.rl.advantages import Array, Ints


@dataclass(frozen=True)
class Flat:
    """`first[s]` is the number of segment s's first trained token; `owner[s]` its trace;
    `spans[k]` the slice of trace k's tokens; `turns[k]` the turn of each of them."""

    traces: tuple[Trace, ...]
    segments: tuple[Segment, ...]
    first: tuple[int, ...]
    owner: tuple[int, ...]
    spans: tuple[slice, ...]
    turns: tuple[Ints, ...]
    behaviour: Array

    @property
    def tokens(self) -> int:
        """N."""
        return len(self.behaviour)


def flatten(traces: Sequence[Trace]) -> Flat:
    """Lay out the trained tokens. Segments without any are left out."""
    learned = [
        (owner, segment)
        for owner, trace in enumerate(traces)
        for segment in trace.segments
        if any(turn >= 0 for turn in segment.turns)
    ]
    counts = [sum(turn >= 0 for turn in segment.turns) for _, segment in learned]
    sizes = [0] * len(traces)
    for (owner, _), count in zip(learned, counts, strict=True):
        sizes[owner] += count
    ends = list(accumulate(sizes))
    return Flat(
        traces=tuple(traces),
        segments=tuple(segment for _, segment in learned),
        first=tuple(end - count for end, count in zip(accumulate(counts), counts, strict=True)),
        owner=tuple(owner for owner, _ in learned),
        spans=tuple(slice(end - size, end) for end, size in zip(ends, sizes, strict=True)),
        turns=tuple(_turns(trace) for trace in traces),
        behaviour=_behaviour([segment for _, segment in learned]),
    )


def _turns(trace: Trace) -> Ints:
    turns = [turn for segment in trace.segments for turn in segment.turns if turn >= 0]
    return np.array(turns, dtype=np.int64)


def _behaviour(segments: Sequence[Segment]) -> Array:
    logprobs = [
        logprob
        for segment in segments
        for logprob, turn in zip(segment.logprobs, segment.turns, strict=True)
        if turn >= 0
    ]
    return np.array(logprobs, dtype=np.float64)


def mini_batches(flat: Flat, count: int, order: random.Random) -> list[list[int]]:
    """Numbers of segments in `count` parts of about the same number of tokens; a group stays
    together. `order` shuffles the groups (one part: their own order)."""
    by_group: dict[str, list[int]] = {}
    for number, owner in enumerate(flat.owner):
        by_group.setdefault(flat.traces[owner].group, []).append(number)
    groups = list(by_group.values())
    if count > 1:
        order.shuffle(groups)
    parts = max(1, min(count, len(groups)))
    return [[n for group in groups[part::parts] for n in group] for part in range(parts)]
