"""What a model's layers make of sequences that are read as trees: a common beginning is read once.

    states, nodes = tree_states(model, sequences)
    states[nodes[s][t]]       # the hidden state at token t of sequence s

It is for models whose `support_of(model).shared` is true, and takes gradients.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tesuji.players.sampling.head import layers
from tesuji.players.sampling.token_tree import forest, plant
from tesuji.players.sampling.tree_attention import tree_inputs, widest_tree


def tree_states(
    model: Any, sequences: Sequence[Sequence[int]]
) -> tuple[Tensor, list[tuple[int, ...]]]:
    """Hidden states [N, D] of the nodes of one tree, or of several where the model's attention
    wants them smaller, and the nodes of every sequence, one a token."""
    states: list[Tensor] = []
    nodes: list[tuple[int, ...]] = [()] * len(sequences)
    size = 0
    for part in forest(sequences, widest_tree(model)):
        tree = plant([sequences[number] for number in part])
        states.append(
            layers(model)(**tree_inputs(model, tree), use_cache=False).last_hidden_state[0]
        )
        for number, some in zip(part, tree.nodes, strict=True):
            nodes[number] = tuple(size + node for node in some)
        size += len(tree)
    return torch.cat(states), nodes
