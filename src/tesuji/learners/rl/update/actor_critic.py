"""Policy and critic as one module: a micro-batch in; log-probs, entropies and values out.

One module, because Accelerate prepares one. The output head only sees the places that predict a
trained token, each once, in chunks, and what follows it is in float32: the full logits of a long
batch are never in memory.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tesuji.core.tensors import on_device
from tesuji.learners.reward_model.model import has_reward_head, reward_head
from tesuji.learners.rl.update.batch import MicroBatch
from tesuji.players.sampling.head import layers, own_logits
from tesuji.players.sampling.support_check import support_of
from tesuji.players.sampling.tree_attention import tree_inputs, widest_tree

CHUNK = 1 << 25  # logits at once


class PerToken(NamedTuple):
    """Per trained token [T], in float32; a tuple, for ZeRO-3 looks for tensors in it. `entropy` is
    of the distribution sampled from; `values` are read before the token, `after` behind it, both
    None without a critic."""

    logp: Tensor
    entropy: Tensor
    values: Tensor | None
    after: Tensor | None


class ActorCritic(nn.Module):
    """A causal LM, and if asked for a value head on it or on a critic model of its own.

    `value_grad` is the share of the value's gradient that reaches the policy's own weights;
    `in_bf16` computes under autocast, whatever an engine around it says (DeepSpeed's ends that).
    """

    def __init__(
        self,
        model: Any,
        *,
        temperature: float = 1.0,
        critic: Any = None,
        with_values: bool = False,
        value_grad: float = 0.0,
        entropy_grad: bool = False,
        in_bf16: bool = False,
    ) -> None:
        super().__init__()
        self.in_bf16 = in_bf16
        self.model = model
        self.critic = critic
        self.temperature = temperature
        self.value_grad = value_grad
        self.entropy_grad = entropy_grad
        self.value_head = value_head(critic or model) if with_values or critic else None
        self.support = support_of(model)

    @property
    def widest_tree(self) -> int:
        """The most tokens in a tree that policy and critic read; 0 where one of them reads none."""
        models = [self.model, *([self.critic] if self.critic is not None else [])]
        return min(widest_tree(each) if support_of(each).shared else 0 for each in models)

    def critic_part(self) -> nn.Module | None:
        """What is saved as the critic: the head, with the critic model if there is one."""
        if self.value_head is None:
            return None
        parts = {"head": self.value_head, **({"model": self.critic} if self.critic else {})}
        return nn.ModuleDict(parts)

    def forward(self, batch: MicroBatch) -> PerToken:
        """Score the trained tokens of one micro-batch."""
        if not self.in_bf16:
            return self._tokens(batch)
        with torch.autocast(batch.ids.device.type, dtype=torch.bfloat16):
            return self._tokens(batch)

    def _tokens(self, batch: MicroBatch) -> PerToken:
        if self.support.own_head:
            hidden = self._hidden(self.model, batch)
            logp, entropy = self._score(hidden[batch.places], batch)
            return PerToken(logp, entropy, *self._values(hidden, batch))
        out = self.model(input_ids=batch.ids, use_cache=False)
        logp, entropy = self._chunk(out.logits.flatten(0, 1)[batch.places], batch, 0)
        needed = self.value_head is not None and self.critic is None
        hidden = self._hidden(self.model, batch) if needed else logp
        return PerToken(logp, entropy, *self._values(hidden, batch))

    def _score(self, hidden: Tensor, batch: MicroBatch) -> tuple[Tensor, Tensor]:
        size = max(1, CHUNK // int(self.model.config.get_text_config().vocab_size))
        scored = []
        for start in range(0, len(hidden), size):
            arguments = (hidden[start : start + size], batch, start)
            if len(hidden) > size and torch.is_grad_enabled():
                scored.append(checkpoint(self._head, *arguments, use_reentrant=False))
            else:
                scored.append(self._head(*arguments))
        logps, entropies = zip(*scored, strict=True)
        return torch.cat(logps), torch.cat(entropies)

    def _head(self, hidden: Tensor, batch: MicroBatch, start: int) -> tuple[Tensor, Tensor]:
        return self._chunk(own_logits(self.model, hidden), batch, start)

    def _chunk(self, logits: Tensor, batch: MicroBatch, start: int) -> tuple[Tensor, Tensor]:
        """Log-probs and entropies of the tokens asked for at the batch's places from `start` on,
        from the logits [P, V] there."""
        ends = (bisect_left(batch.asked_on_cpu, place) for place in (start, start + len(logits)))
        here = slice(*ends)
        asked, targets = batch.asked[here] - start, batch.targets[here]
        logits = logits.float()
        if self.temperature != 1.0:
            logits = logits / self.temperature
        ban = _ban(batch, start, logits)
        if ban is not None:
            logits = logits.masked_fill(ban, torch.finfo(logits.dtype).min)
        logps = logits.log_softmax(-1)
        with torch.set_grad_enabled(self.entropy_grad and torch.is_grad_enabled()):
            entropy = _entropy(logps)
        return logps[asked, targets], entropy[asked]

    def _values(
        self, hidden: Tensor, batch: MicroBatch
    ) -> tuple[Tensor, Tensor] | tuple[None, None]:
        """Values before and after each trained token, from hidden states [R * L, D]."""
        if self.value_head is None:
            return None, None
        places = torch.stack([batch.places[batch.asked], batch.own])
        if self.critic is not None:
            hidden = self._hidden(self.critic, batch)[places]
        else:
            hidden = hidden[places]
            frozen = hidden.detach()
            hidden = frozen + self.value_grad * (hidden - frozen) if self.value_grad else frozen
        before, after = self.value_head(hidden.float()).squeeze(-1)
        return before.clone(), after.clone()  # FSDP2 warns of views

    def _hidden(self, model: Any, batch: MicroBatch) -> Tensor:
        """Last hidden states [R * L, D]. Padding is on the right, where no causal model sees it;
        of rows a model knows the positions best itself."""
        inputs = {"input_ids": batch.ids} if batch.tree is None else tree_inputs(model, batch.tree)
        hidden: Tensor = layers(model)(**inputs, use_cache=False).last_hidden_state.flatten(0, 1)
        return hidden


def _entropy(logps: Tensor) -> Tensor:
    """Of distributions [P, V] in float32: autocast would take the product in bfloat16,
    where the logarithm of a token that is out of the question is minus infinity."""
    with torch.autocast(logps.device.type, enabled=False):
        return -torch.linalg.vecdot(logps.exp(), logps)


def value_head(model: Any) -> nn.Linear:
    """A linear head in float32 on the last hidden state: a reward model's begins as that model's
    own, any other is 0 everywhere at first."""
    rewarding = has_reward_head(model)
    known = reward_head(model) if rewarding else model.get_output_embeddings()
    head = nn.Linear(known.weight.shape[1], 1, dtype=torch.float32)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    if rewarding:
        head.weight.data.copy_(known.weight.detach())
    return head.to(model.device)


def policy_parameters(actor: ActorCritic) -> Iterator[tuple[str, nn.Parameter]]:
    """The policy's trainable parameters by name, without the critic's."""
    return ((n, p) for n, p in actor.model.named_parameters() if p.requires_grad)


def critic_parameters(actor: ActorCritic) -> Iterator[tuple[str, nn.Parameter]]:
    """The value head's parameters, and those of a critic model."""
    for part in ("value_head", "critic"):
        module = getattr(actor, part)
        if module is not None:
            yield from ((f"{part}.{n}", p) for n, p in module.named_parameters() if p.requires_grad)


def _ban(batch: MicroBatch, start: int, logits: Tensor) -> Tensor | None:
    """Where a token could not have been sampled [P, V], at the batch's places from `start` on;
    None if all could everywhere."""
    places = range(start, start + len(logits))
    here = [(place - start, tokens) for place, tokens in batch.allowed if place in places]
    if not here:
        return None
    ban = torch.zeros_like(logits, dtype=torch.bool)
    ban[on_device([place for place, _ in here], ban.device)] = True
    pairs = [(place, token) for place, tokens in here for token in tokens]
    ban[tuple(on_device(pairs, ban.device).T)] = False
    return ban
