"""Sequences of tokens as a tree: whatever begins alike stands there once.

A tree of N nodes is laid out depth first, so that what a node may see, its ancestors and itself,
is told by one number a node: node j is seen by node q where j <= q < ends[j].

    tree = plant([(1, 2, 3), (1, 2, 4)])     # ids 1 2 3 4, positions 0 1 2 2, ends 4 4 3 4
    tree.nodes                               # (0, 1, 2) and (0, 1, 3)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenTree:
    """Per node [N]: its token, how many stand before it, and the end of the nodes below it.

    `nodes[s]` are the nodes of sequence s, one a token.
    """

    ids: list[int]
    positions: list[int]
    ends: list[int]
    nodes: list[tuple[int, ...]]

    def __len__(self) -> int:
        return len(self.ids)


def plant(sequences: Sequence[Sequence[int]]) -> TokenTree:
    """The tree of these sequences; several may be equal, or begin one another."""
    ids: list[int] = []
    positions: list[int] = []
    ends: list[int] = []
    nodes: list[tuple[int, ...]] = [()] * len(sequences)
    path: list[int] = []  # the nodes of the sequence before
    for number in _ordered(sequences):
        sequence = sequences[number]
        common = alike([ids[node] for node in path], sequence)
        for node in path[common:]:
            ends[node] = len(ids)
        path = path[:common]
        for position in range(common, len(sequence)):
            path.append(len(ids))
            ids.append(sequence[position])
            positions.append(position)
            ends.append(0)
        nodes[number] = tuple(path)
    for node in path:
        ends[node] = len(ids)
    return TokenTree(ids, positions, ends, nodes)


def forest(sequences: Sequence[Sequence[int]], most: int) -> Iterator[list[int]]:
    """Numbers of sequences, alike beside alike, in parts whose trees have at most `most` nodes
    (or one sequence)."""
    part: list[int] = []
    size = 0
    before: Sequence[int] = ()
    for number in _ordered(sequences):
        sequence = sequences[number]
        fresh = len(sequence) - alike(before, sequence)
        if part and size + fresh > most:
            yield part
            part, size, fresh = [], 0, len(sequence)
        part.append(number)
        size += fresh
        before = sequence
    if part:
        yield part


def alike(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens both begin with."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(first), len(second)))


def _ordered(sequences: Sequence[Sequence[int]]) -> list[int]:
    return sorted(range(len(sequences)), key=lambda number: tuple(sequences[number]))
