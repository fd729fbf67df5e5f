"""A batch of pairs as a token tree, where TRL's trainers read padded rows.

The two sequences of a pair have their prompt in common, and games' prompts their beginning: each is
read once, with its gradient. Only how a model reads a batch changes: its log-probabilities and
rewards are those of plain rows, and what TRL makes of them is TRL's.
"""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from tesuji.core.tensors import on_device
from tesuji.learners.model.tree_states import tree_states
from tesuji.learners.reward_model.model import has_reward_head
from tesuji.players.sampling.head import answering, forwarding, layers, whole


@contextlib.contextmanager
def reading_trees(*models: Any, autocast: Any = contextlib.nullcontext) -> Iterator[None]:
    """Inside, what TRL asks of these models (the head of `add_fused_lm_head`; rewards) is computed
    in trees, their layers under `autocast`."""
    with contextlib.ExitStack() as stack:
        for model in map(whole, models):
            read = _rewards if has_reward_head(model) else _log_probs
            forward = functools.partial(read, model, model.forward, autocast)
            stack.enter_context(forwarding(model, forward))
        yield


def _log_probs(
    model: Any,
    own: Any,
    autocast: Any,
    *,
    input_ids: Tensor,
    attention_mask: Tensor,
    labels: Tensor,
    **others: Any,
) -> Any:
    """What the fused head says of every label that is not -100, zero elsewhere [B, T - 1], of rows
    padded to the right. A token that several rows have at one node is computed once."""
    texts, known = _unpadded(input_ids, attention_mask), labels[:, 1:].cpu()
    with autocast():
        states, nodes = tree_states(model, texts)
    mask = known != -100
    places = [nodes[row][place] for row, place in mask.nonzero().tolist()]
    wanted, back = torch.stack([torch.tensor(places), known[mask]]).unique(
        dim=1, return_inverse=True
    )
    at, tokens, back, mask = (on_device(each, labels.device) for each in (*wanted, back, mask))
    with answering(layers(model), states.index_select(0, at).unsqueeze(0)):
        out = own(input_ids=tokens[None], shift_labels=tokens[None], fused_lm_head=True)
    for name, values in out.items():
        if values.shape == (1, len(tokens)):
            out[name] = values.new_zeros(mask.shape).masked_scatter(
                mask, values[0].index_select(0, back)
            )
    return out


def _rewards(
    model: Any,
    own: Any,
    autocast: Any,
    *,
    input_ids: Tensor,
    attention_mask: Tensor,
    **others: Any,
) -> Any:
    """The output whose logits [B, 1] are the rewards of rows padded to the right, by the model's
    own head."""
    with autocast():
        states, nodes = tree_states(model, _unpadded(input_ids, attention_mask))
    last = on_device([some[-1] for some in nodes], input_ids.device)
    with answering(layers(model), states.index_select(0, last).unsqueeze(1)):
        return own(input_ids=input_ids[:, :1])


def _unpadded(ids: Tensor, mask: Tensor) -> list[list[int]]:
    rows = torch.cat([ids, mask.sum(1, keepdim=True)], dim=1).tolist()
    return [row[: row[-1]] for row in rows]
