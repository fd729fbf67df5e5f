"""TRL's SFTTrainer with a distribution as the target of each reply token.

A batch is a tree of tokens where the model reads one (`collate.py`). The output head sees only the
places where a reply token is predicted, each once, in chunks; what follows it is in float32. With
one right reply a prompt the loss equals TRL's own (a test holds this).
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from trl import SFTTrainer

from tesuji.learners.trainer.sharded import ShardedStates
from tesuji.learners.trainer.shares import SharedBatches
from tesuji.learners.trainer.trainer import refuse_nan
from tesuji.players.sampling.head import layers, own_logits
from tesuji.players.sampling.support_check import support_of
from tesuji.players.sampling.tree_attention import tree_inputs

CHUNK = 1 << 24  # logits at once


class Targets(NamedTuple):
    """What is taught where, as the collator gives it: the pairs of place p up to `target_ends[p]`,
    which is known on the CPU."""

    places: Tensor
    counts: Tensor
    target_at: Tensor
    target_ids: Tensor
    target_shares: Tensor
    target_ends: Sequence[int]

    def chunks(self, size: int) -> Iterator["Targets"]:
        """The same, `size` places at a time."""
        for start in range(0, len(self.places), size):
            part = slice(start, start + size)
            ends = self.target_ends[part]
            here = slice(self.target_ends[start - 1] if start else 0, ends[-1])
            pairs = (self.target_at[here] - start, self.target_ids[here], self.target_shares[here])
            yield Targets(self.places[part], self.counts[part], *pairs, ends)


class SoftTargetTrainer(ShardedStates, SharedBatches, SFTTrainer):
    """SFTTrainer whose loss is the cross-entropy to `target_shares`."""

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """TRL's draft is not written: the model's own card is made from the run."""

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Mean over reply tokens (of the whole optimizer step) of the cross-entropy, fp32. There
        are no outputs: logits are not kept."""
        with self.accelerator.autocast():
            loss, entropy, hits = score_batch(self.model, inputs, model)
        taught = inputs["counts"].sum()
        loss = loss / (taught if num_items_in_batch is None else num_items_in_batch)
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # DDP averages the gradients again
        refuse_nan(loss, self.state.global_step, "sft")
        self._note(torch.stack([entropy, hits.to(entropy.dtype), taught.to(entropy.dtype)]))
        return (loss, None) if return_outputs else loss

    def _note(self, sums: Tensor) -> None:
        """TRL's own training metrics, from sums over the reply tokens of this process and how many
        those are; any token that is taught is right."""
        mode = "train" if self.model.training else "eval"
        entropy, hits, taught = self.accelerator.reduce(sums).tolist()
        self._metrics[mode]["entropy"].append(entropy / taught)
        self._metrics[mode]["mean_token_accuracy"].append(hits / taught)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """With the tokens read so far. TRL counts them in an attribute that no checkpoint holds;
        the trainer's state is saved."""
        mode = "train" if self.model.training else "eval"
        self._metrics[mode]["num_tokens"] = [float(self.state.num_input_tokens_seen)]
        super().log(logs, start_time)


def score_batch(model: Any, batch: dict[str, Any], wrapped: Any) -> Sequence[Tensor]:
    """Of a collator's batch what `_score` gives; `wrapped` is the model as it is to be called."""
    targets = Targets(*(batch[name] for name in Targets._fields))
    if not support_of(model).own_head:
        logits = wrapped(input_ids=batch["input_ids"], use_cache=False).logits
        return _score(logits.flatten(0, 1)[targets.places], targets)
    tree = batch.get("tree")
    read = tree_inputs(model, tree) if tree else {"input_ids": batch["input_ids"]}
    states = _states(wrapped, layers(model), read)
    size = max(1, CHUNK // int(model.config.get_text_config().vocab_size))
    scores = []
    for part in targets.chunks(size):
        arguments = (model, states[part.places], part)
        if len(targets.places) > size and torch.is_grad_enabled():
            scores.append(checkpoint(_head, *arguments, use_reentrant=False))
        else:
            scores.append(_head(*arguments))
    return [torch.stack(sums).sum() for sums in zip(*scores, strict=True)]


def _states(model: Any, stack: Any, inputs: dict[str, Any]) -> Tensor:
    """The last hidden states [T, D] of whatever is read, by the whole model's forward pass, for
    DDP and autocast are wrapped around that."""
    states: list[Tensor] = []
    hook = stack.register_forward_hook(lambda *call: states.append(call[-1].last_hidden_state))
    try:
        nothing = torch.zeros(0, dtype=torch.long, device=inputs["input_ids"].device)
        model(**inputs, use_cache=False, logits_to_keep=nothing)
    finally:
        hook.remove()
    return states[-1].flatten(0, 1)


def _head(model: Any, states: Tensor, targets: Targets) -> tuple[Tensor, Tensor, Tensor]:
    return _score(own_logits(model, states), targets)


def _score(logits: Tensor, targets: Targets) -> tuple[Tensor, Tensor, Tensor]:
    """Sums over the reply tokens predicted from logits [P, V]: the cross-entropy to what is taught,
    the entropy (both in nats), and how often the likeliest token is a taught one."""
    logits, (_, counts, at, ids, shares, _) = logits.float(), targets
    norm = logits.logsumexp(-1)  # adds up a large vocabulary more exactly than log_softmax does
    loss = (shares * (norm[at] - logits[at, ids])).sum()
    with torch.no_grad():
        probs = (logits - norm.unsqueeze(-1)).exp()
        entropy = ((norm - (probs * logits).sum(-1)) * counts).sum()  # autocast rounds no products
        hits = (logits.argmax(-1)[at] == ids).sum()
    return loss, entropy, hits
