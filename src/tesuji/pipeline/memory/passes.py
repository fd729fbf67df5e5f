"""How much memory a model's forward and backward pass takes, counted without computing it.

The pass runs on torch's fake tensors, which have shapes, and weights of no numbers; what every
operation makes is counted as long as it lives. It is counted with two numbers of layers, from which
a straight line leads to all of them.

What it simplifies: the layers of a model are taken to be alike; what libraries take for themselves
inside an operation (a kernel's workspace, the allocator's rounding) is not seen.
"""

import copy
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint

from tesuji.learners.model.adapter import add_adapter, lora_config
from tesuji.learners.reward_model import model as reward_model
from tesuji.players.sampling.head import layers, own_logits
from tesuji.players.sampling.token_draw import distribution, draw
from tesuji.players.sampling.token_tree import plant
from tesuji.players.sampling.tree_attention import Blocks, tree_inputs, use_tree_attention
from tesuji.recipe.schema.sections import LoraSection

FEW, MORE = 1, 2  # layers that are counted
Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one forward pass reads: texts, of each the length of the reply that is learned from."""

    texts: Sequence[Ids]
    replies: Sequence[int]

    @property
    def tokens(self) -> int:
        """That are computed, what several texts begin with once."""
        return len(plant(self.texts))


@dataclass(frozen=True, slots=True)
class Kind:
    """How the pass is made: the weights' type, `autocast` to bfloat16 over them, adapters, the most
    logits at once, a head of one number in the place of the language model's, token trees."""

    dtype: torch.dtype
    autocast: bool = False
    lora: LoraSection | None = None
    checkpointing: bool = False
    logits: int = 1 << 25
    rewarding: bool = False
    trees: bool = True

    def judging(self) -> "Kind":
        """The same of a critic, which needs no logits."""
        return replace(self, rewarding=True)


@dataclass(frozen=True, slots=True)
class Pass:
    """Bytes where it takes most: of activations, of logits with what is made of them, and `early`,
    the gradients that are there then; and what is there beside the gradients at its `end`, when the
    last of them is made, of `last` bytes."""

    activations: float
    logits: float
    early: float
    end: float
    last: float

    def peak(self, gradients: float, *, again: bool) -> dict[str, float]:
        """The parts of the moment when all together are most, of this many bytes of gradients;
        `again`: those of an earlier pass are there from the beginning."""
        whole = self.activations + self.logits
        early = gradients if again else self.early
        if early + whole >= gradients - self.last + self.end:
            parts = (early, self.activations, self.logits)
        else:
            parts = (gradients - self.last, self.end, 0.0)
        return dict(zip(("gradients", "activations", "logits"), parts, strict=True))


def learning(config: Any, batch: Batch, kind: Kind) -> Pass:
    """A pass that learns from the batch, of a model of this configuration."""
    return _extended(config, lambda some: _learned(some, batch, kind))


def reading(config: Any, batch: Batch, kind: Kind) -> float:
    """Bytes beside the weights, of a pass that reads the batch, and of a draw for each reply."""
    return _read(_of_depth(config, FEW), batch, kind)


def _extended(config: Any, count: Callable[[Any], Pass]) -> Pass:
    """The straight line through two depths, at the model's own."""
    depth = config.get_text_config().num_hidden_layers
    if depth <= MORE:
        return count(config)
    few, more = (count(_of_depth(config, some)) for some in (FEW, MORE))
    slope = (more.activations + more.logits - few.activations - few.logits) / (MORE - FEW)
    return replace(more, activations=more.activations + slope * (depth - MORE))


def _of_depth(config: Any, depth: int) -> Any:
    config = copy.deepcopy(config)
    text = config.get_text_config()
    text.num_hidden_layers = depth
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:depth]
    return config


def _learned(config: Any, batch: Batch, kind: Kind) -> Pass:
    model, fake = shaped(config, kind), FakeTensorMode(allow_non_fake_inputs=True)
    _pretend(model, fake)
    inputs = _inputs(model, batch, kind)
    with fake, _Live(model) as live:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=kind.autocast):
            states = layers(model)(**inputs, use_cache=False).last_hidden_state.flatten(0, 1)
            live.head_begins(states)
            loss = _loss(model, states, batch, kind)
        del states
        loss.backward()
    return live.counted()


def _read(config: Any, batch: Batch, kind: Kind) -> float:
    model, fake = shaped(config, kind), FakeTensorMode(allow_non_fake_inputs=True)
    _pretend(model, fake)
    inputs = _inputs(model, batch, kind)
    with fake, _Live(model) as live, torch.inference_mode():
        states = layers(model)(**inputs, use_cache=False).last_hidden_state.flatten(0, 1)
        drawn = states.new_empty(sum(batch.replies), states.shape[-1])
        logits = own_logits(model, drawn)
        draw(distribution(logits, 1.0, 1.0), torch.zeros(len(logits)))
    return float(live.stretch[0])


def shaped(config: Any, kind: Kind) -> Any:
    """The model on the meta device, without any numbers."""
    import transformers

    name = "AutoModelForSequenceClassification" if kind.rewarding else "AutoModelForCausalLM"
    with torch.device("meta"):
        model = getattr(transformers, name).from_config(config, dtype=kind.dtype)
    if kind.trees:
        use_tree_attention(model)
    if kind.lora is not None:
        task = reward_model.TASK if kind.rewarding else "CAUSAL_LM"
        model = add_adapter(model, lora_config(kind.lora, task))
    if kind.checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.enable_input_require_grads()
    return model.train()


def _pretend(model: Any, fake: FakeTensorMode) -> None:
    """Let the model's numbers be a CPU's, without there being any: kernels for real devices know
    better than the meta device how much an operation takes."""
    made: dict[int, Tensor] = {}
    for module in model.modules():
        for own in (module._parameters, module._buffers):
            for name, tensor in own.items():
                if tensor is not None:
                    if id(tensor) not in made:  # else it is tied to one that was
                        made[id(tensor)] = _as_of_cpu(tensor, fake)
                    own[name] = made[id(tensor)]


def _as_of_cpu(tensor: Tensor, fake: FakeTensorMode) -> Tensor:
    with fake:
        empty = torch.empty(tensor.shape, dtype=tensor.dtype)
        learns = tensor.requires_grad
        return nn.Parameter(empty, learns) if isinstance(tensor, nn.Parameter) else empty


def _inputs(model: Any, batch: Batch, kind: Kind) -> dict[str, Any]:
    """What the model reads; of a tree the parts are real, for shapes follow from them."""
    if not kind.trees:
        width = max(map(len, batch.texts))
        return {"input_ids": torch.zeros(len(batch.texts), width, dtype=torch.long)}
    inputs = tree_inputs(model, plant(batch.texts))
    if isinstance(tree := inputs.get("tree"), Blocks):
        _ = tree.parts
    return inputs


def _loss(model: Any, states: Tensor, batch: Batch, kind: Kind) -> Tensor:
    """A loss of the replies' tokens, in as many parts as the learners have."""
    if kind.rewarding:
        return states[-len(batch.texts) :].float().sum()
    count = min(len(states), sum(batch.replies))
    size = max(1, kind.logits // int(model.config.get_text_config().vocab_size))
    parts = states[:count].split(size)
    if len(parts) == 1:
        return _head(model, parts[0])
    losses = [checkpoint(_head, model, part, use_reentrant=False) for part in parts]
    return torch.stack(losses).sum()


def _head(model: Any, states: Tensor) -> Tensor:
    logps = own_logits(model, states).float().log_softmax(-1)
    with torch.no_grad():
        torch.linalg.vecdot(logps.exp(), logps)
    return logps[:, 0].sum()


class _Live(TorchDispatchMode):
    """Counts the bytes that operations have made and that are still there; the model's weights are
    left out. From one gradient in its parameter to the next is a stretch: of each it knows what was
    most beside the gradients, and these."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.now = self.gradients = self.before = self.last = 0
        self.most = self.stretch = (0, 0)
        self.end = 0  # the most in the last stretch
        self.states = self.head = 0  # at the layers' end; the most in the head
        self.in_head = False
        self.sizes: dict[int, int] = {}
        for tensor in (*model.parameters(), *model.buffers()):
            self.sizes[tensor.untyped_storage()._cdata] = 0
            if tensor.requires_grad:
                tensor.register_post_accumulate_grad_hook(self._is_gradient)

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None):
        made = operation(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._see(tensor.untyped_storage())
        return made

    def _see(self, storage: Any) -> None:
        key = storage._cdata
        if key in self.sizes:
            return
        self.sizes[key] = storage.nbytes()
        weakref.finalize(storage, self._gone, key)
        self.now += self.sizes[key]
        self.stretch = max(self.stretch, (self.now - self.gradients, self.gradients))
        if self.in_head:
            self.head = max(self.head, self.stretch[0])

    def _gone(self, key: int) -> None:
        self.now -= self.sizes.pop(key)

    def _is_gradient(self, parameter: Tensor) -> None:
        assert parameter.grad is not None
        self.last = parameter.grad.untyped_storage().nbytes()
        self.most, self.end = max(self.most, (self.end, self.before)), self.stretch[0]
        self.before = self.gradients
        self.gradients += self.last
        self.stretch = (self.now - self.gradients, self.gradients)

    def head_begins(self, states: Tensor) -> None:
        """The layers are done, whose states are these: what comes until these have their gradient
        is the head's."""
        self.states, self.in_head = self.now, True
        states.register_hook(self._head_ends)

    def _head_ends(self, gradient: Tensor) -> None:
        self.in_head = False

    def counted(self) -> Pass:
        """The pass that was."""
        most, early = self.most
        logits = most - self.states if self.head >= most else 0
        return Pass(most - logits, logits, early, self.end, self.last)
