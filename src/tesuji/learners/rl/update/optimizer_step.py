"""Optimizer steps on a rollout, over Accelerate: whatever the micro-batches, the same gradient.

Every process knows all rows of a step and computes its share of them. The loss is divided by the
tokens of the whole step; DDP averages, so it is multiplied by the number of processes. Where memory
runs out the micro-batch is halved and the step done again from the same weights.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from tesuji.core.errors import EngineError
from tesuji.learners.distributed import gathered, gathered_sums, process
from tesuji.learners.model.memory import ran_out_of_memory
from tesuji.learners.rl.token_layout import Array, Flat
from tesuji.learners.rl.update.actor_critic import ActorCritic
from tesuji.learners.rl.update.batch import MicroBatch, Row, collate, micro_batches, row_of
from tesuji.learners.rl.update.learning_rate import LearningRate
from tesuji.learners.rl.update.loss import LossOptions, TokenData, token_loss
from tesuji.learners.rl.update.return_scale import ReturnScale
from tesuji.learners.whole import whole_weights
from tesuji.learners.zero import in_use, keep_changes
from tesuji.players.sampling.modes import evaluating, updating


@dataclass
class Learner:
    """What an update needs, and the budget of tokens a forward pass that was seen to fit.
    `notices`: what a person should read of the last step."""

    accelerator: Any
    actor: nn.Module  # ActorCritic, perhaps wrapped by Accelerate
    optimizer: torch.optim.Optimizer
    learning_rate: LearningRate
    micro_batch_tokens: int
    share_prompts: bool = True
    max_grad_norm: float = 1.0
    in_bf16: bool = False
    returns: ReturnScale = field(default_factory=ReturnScale)
    notices: list[str] = field(default_factory=list)
    whole: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @functools.cached_property
    def module(self) -> ActorCritic:
        """The actor without Accelerate's wrapping (which looks through all of its layers)."""
        module: ActorCritic = self.accelerator.unwrap_model(self.actor)
        return module

    @property
    def engine(self) -> Any:
        """DeepSpeed's engine, where it is in use."""
        return self.actor if in_use() is not None else None

    @property
    def stepping(self) -> Any:
        """What has the optimizer's state: DeepSpeed's, where it is in use."""
        return self.optimizer if self.engine is None else self.engine.optimizer

    def gather(self) -> None:
        """Have all weights in every process from now on, until they are `parted`."""
        self.whole.enter_context(whole_weights(self.module))

    @contextlib.contextmanager
    def parted(self) -> Iterator[None]:
        """Inside, weights that are parted are in parts: as the optimizer knows them."""
        self.whole.close()
        yield
        self.gather()

    @contextlib.contextmanager
    def writing(self, module: nn.Module) -> Iterator[None]:
        """Inside, what is written in place to the weights of this part of the actor is kept."""
        if self.engine is None:
            with self.parted():
                yield
        else:
            yield
            keep_changes(self.engine, module.parameters())

    @property
    def trees(self) -> bool:
        """Whether segments become trees of tokens."""
        return self.share_prompts and self.module.widest_tree > 0

    def parts(self, rows: Sequence[Row]) -> list[list[Row]]:
        """The rows of each forward pass."""
        most = self.micro_batch_tokens
        if self.trees:
            most = min(most, self.module.widest_tree)
        return list(micro_batches(rows, most, trees=self.trees))

    def batch(self, rows: Sequence[Row]) -> MicroBatch:
        """The tensors of one."""
        return collate(rows, self.module.model.device, trees=self.trees)

    def state_dict(self) -> dict[str, Any]:
        """What is neither a weight nor the optimizer's own state, as plain JSON values."""
        returns = self.returns.state_dict()
        return {"micro_batch_tokens": self.micro_batch_tokens, "returns": returns}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.micro_batch_tokens = state["micro_batch_tokens"]
        self.returns.load_state_dict(state["returns"])

    def autocast(self) -> torch.autocast:
        """The precision it computes in: bfloat16 over float32 weights, or the weights' own."""
        device = self.module.model.device.type
        return torch.autocast(device, dtype=torch.bfloat16, enabled=self.in_bf16)


@dataclass(frozen=True)
class Tokens:
    """What the loss needs of all N trained tokens, float32 on the device, and `weights` [N]."""

    data: TokenData
    weights: Tensor

    def at(self, index: Tensor) -> TokenData:
        """The data of these tokens."""
        parts = {
            name: None if (whole := getattr(self.data, name)) is None else whole[index]
            for name in TokenData.__slots__
        }
        return TokenData(**parts)  # type: ignore[arg-type]


def rows_of(learner: Learner, flat: Flat, numbers: Sequence[int] | None = None) -> list[Row]:
    """The rows of these segments (default: all)."""
    chosen = range(len(flat.segments)) if numbers is None else numbers
    judged = learner.module.value_head is not None
    return [row_of(flat.segments[n], flat.first[n], judged=judged) for n in chosen]


def worth_a_pass(
    flat: Flat, numbers: Sequence[int], tokens: Tokens, options: LossOptions
) -> Sequence[int]:
    """Without the segments whose tokens have no advantage (groups in which all earned the same),
    where nothing but the advantage makes a gradient. They still count in the norm: the gradient
    is the same, with less work. One segment always stays."""
    if options.vf_coef or options.beta or options.entropy_coef:
        return numbers
    has = tokens.data.advantages.cpu().numpy() != 0
    kept = [n for n in numbers if has[flat.spans[flat.owner[n]]].any()]
    return kept or numbers[:1]


@torch.no_grad()
def score(learner: Learner, flat: Flat) -> tuple[Array, Array | None, Array | None]:
    """Log-probs [N] of the policy as it is now, and values before and after each token [N], as
    returns (None without a critic)."""
    rows = rows_of(learner, flat)
    while True:
        try:
            return _score(learner, flat, rows)
        except (MemoryError, RuntimeError) as error:
            _halve(learner, rows, error)


def _score(
    learner: Learner, flat: Flat, rows: Sequence[Row]
) -> tuple[Array, Array | None, Array | None]:
    module, known = learner.module, np.zeros((3, flat.tokens))
    logps, values = known[0], known[1:]
    for part in learner.parts(share_of(rows)):
        batch = learner.batch(part)
        with evaluating(module), learner.autocast():
            scored = module(batch)
        index = batch.index.cpu().numpy()
        logps[index] = scored.logp.double().cpu().numpy()
        for row, judged in zip(values, (scored.values, scored.after), strict=True):
            if judged is not None:
                row[index] = learner.returns.unit * judged.double().cpu().numpy()
    if learner.accelerator.num_processes > 1:  # each has nothing but zeros for what others scored
        everybodys = torch.from_numpy(known).to(module.model.device)
        known = learner.accelerator.reduce(everybodys).cpu().numpy()
    logps, before, after = known
    return (logps, before, after) if module.value_head is not None else (logps, None, None)


def share_of(rows: Sequence[Row]) -> list[Row]:
    """The rows that this process computes. Neighbours, who begin alike, stay together; all shares
    have about as many tokens, and one may be empty."""
    mine, processes = process()
    ends = [*accumulate(len(row.ids) for row in rows)]
    numbers = ((end - 1) * processes // ends[-1] for end in ends)
    return [row for row, number in zip(rows, numbers, strict=True) if number == mine]


def step(
    learner: Learner, rows: Sequence[Row], tokens: Tokens, norm: float, options: LossOptions
) -> dict[str, float]:
    """One optimizer step on these rows, which all processes share out; `norm` is what the summed
    loss is divided by. Returns figures, averaged over the rows' tokens.

    Raises EngineError for a loss or gradient that is not a number, with the weights as they were,
    and when not even a single row fits into memory.
    """
    with learner.parted():
        while True:
            try:
                with _mode(learner.actor, learner.module):
                    figures = _backward(learner, rows, tokens, norm, options)
                break
            except (MemoryError, RuntimeError) as error:
                _halve(learner, rows, error)
        figures["grad_norm"] = _clip(learner, figures["loss"])
        if not np.isfinite(figures["grad_norm"]) or not np.isfinite(figures["loss"]):
            learner.optimizer.zero_grad(set_to_none=True)
            raise _not_a_number(figures)
        if learner.engine is None:
            learner.optimizer.step()
            learner.optimizer.zero_grad(set_to_none=True)
    return figures


def _backward(
    learner: Learner, rows: Sequence[Row], tokens: Tokens, norm: float, options: LossOptions
) -> dict[str, float]:
    sums: dict[str, Tensor] = {}
    parts = learner.parts(share_of(rows))
    rounds, company = max(gathered([len(parts)])), [rows[0]]
    device = learner.module.model.device
    for number in range(rounds):
        real = number < len(parts)  # another process may have more: keep it company
        batch = learner.batch(parts[number] if real else company)
        with _pass(learner, last=number == rounds - 1) as backward:
            with learner.autocast():
                scored = learner.actor(batch)
            losses = token_loss(
                scored.logp,
                tokens.at(batch.index),
                options,
                entropy=scored.entropy,
                values=scored.values,
                after=scored.after,
            )
            weighted = losses.loss * tokens.weights[batch.index] * float(real)
            loss = weighted.sum() * (learner.accelerator.num_processes / norm)
            backward(loss)
        for name, figure in losses.figures.items() if real else ():
            sums[name] = sums.get(name, torch.zeros((), device=device)) + figure.sum()
        sums["loss"] = sums.get("loss", torch.zeros((), device=device)) + loss.detach()
    totals = gathered_sums({name: float(value) for name, value in sums.items()})
    loss = totals.pop("loss") / learner.accelerator.num_processes
    count = sum(len(row.trained) for row in rows)
    return {"loss": loss, **{name: value / count for name, value in totals.items()}}


@contextlib.contextmanager
def _pass(learner: Learner, *, last: bool) -> Iterator[Callable[[Tensor], None]]:
    """One forward and backward pass, given how to do the second; gradients meet in the last."""
    if (engine := learner.engine) is not None:
        engine.set_gradient_accumulation_boundary(last)
        yield functools.partial(engine.backward, scale_wrt_gas=False)
        return
    with contextlib.nullcontext() if last else learner.accelerator.no_sync(learner.actor):
        yield learner.accelerator.backward


def _mode(actor: nn.Module, module: ActorCritic) -> AbstractContextManager[None]:
    return updating(actor) if module.support.train_mode else evaluating(actor)


def _clip(learner: Learner, loss: float) -> float:
    """The gradient's norm, clipped to max_grad_norm. DeepSpeed takes the step as well, where the
    loss is a number."""
    if (engine := learner.engine) is not None:
        if not np.isfinite(loss):
            return loss
        engine.step()
        return float(engine.get_global_grad_norm())
    parameters = [p for p in learner.module.parameters() if p.grad is not None]
    most = learner.max_grad_norm or float("inf")
    norm = torch.nn.utils.clip_grad_norm_(parameters, most)
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)


def _halve(learner: Learner, rows: Sequence[Row], error: Exception) -> None:
    """Make room after an out-of-memory; anything else is raised again."""
    if not ran_out_of_memory(error):
        raise error
    learner.optimizer.zero_grad(set_to_none=True)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    longest = max(len(row.ids) for row in rows)
    used = max(learner.batch(part).ids.numel() for part in learner.parts(rows))
    if used <= longest or learner.accelerator.num_processes > 1:
        raise EngineError(
            f"out of memory in the update, with {used:,} tokens a forward pass",
            where="micro_batch_tokens",
            hint="set gradient_checkpointing: true, share_prompts: false, a smaller"
            " sampling.max_new_tokens, or add a `model.lora:` section",
        ) from error
    learner.micro_batch_tokens = max(longest, used // 2)
    learner.notices.append(
        f"out of memory: going on with {learner.micro_batch_tokens:,} tokens a forward pass"
    )


def _not_a_number(figures: dict[str, float]) -> EngineError:
    which = "loss" if not np.isfinite(figures["loss"]) else "gradient"
    return EngineError(
        f"the {which} is not a number; the weights are as they were before this step",
        where="learning_rate",
        hint="lower learning_rate or max_grad_norm, or use model.dtype: float32;"
        " the last checkpoint is good",
    )
