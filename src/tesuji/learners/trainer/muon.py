"""Muon for the hidden matrices, AdamW for everything else, as one optimizer.

Muon orthogonalises the momentum of each weight matrix (Jordan et al. 2024; `torch.optim.Muon`);
embeddings, the output head, norms and biases stay with AdamW, as its authors advise. On small
models trained from scratch the pair needs several times fewer steps than AdamW alone.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from tesuji.recipe.schema.training import Training

BETAS = (0.9, 0.95)  # of the AdamW beside Muon, as its authors set them


class MuonWithAdamW(torch.optim.Optimizer):
    """Two optimizers behind one face, for trainers and schedulers that expect a single one.

    `param_groups` and the state are the two members' own, one after the other, so that a
    learning-rate scheduler and a checkpoint see everything.
    """

    def __init__(
        self,
        matrices: list[nn.Parameter],
        others: list[nn.Parameter],
        *,
        lr: float,
        adamw_lr: float,
        betas: tuple[float, float] = BETAS,
        weight_decay: float = 0.0,
        more: Sequence[dict[str, Any]] = (),
    ) -> None:
        """`betas` are AdamW's; `more` are further groups for it, each with its own `lr`."""
        self.members: tuple[torch.optim.Optimizer, ...] = ()
        further = [parameter for group in more for parameter in group["params"]]
        super().__init__([*matrices, *others, *further], {})
        self.members = (
            torch.optim.Muon(matrices, lr=lr, weight_decay=weight_decay),
            torch.optim.AdamW(
                [{"params": others}, *more],
                lr=adamw_lr,
                betas=betas,
                weight_decay=weight_decay,
                fused=True,
            ),
        )

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The members' groups; always the live ones, since loading a state replaces them."""
        return [group for member in self.members for group in member.param_groups]

    @param_groups.setter
    def param_groups(self, groups: list[dict[str, Any]]) -> None:
        """The base class sets its own groups at construction; the members' are the real ones."""

    @property
    def state(self) -> defaultdict[torch.Tensor, Any]:
        """The members' per-parameter state, together."""
        together: defaultdict[torch.Tensor, Any] = defaultdict(dict)
        for member in self.members:
            together.update(member.state)
        return together

    @state.setter
    def state(self, value: Any) -> None:
        """See `param_groups`."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of both members."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for member in self.members:
            member.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The members' state dicts, in order."""
        return {"members": [member.state_dict() for member in self.members]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        for member, saved in zip(self.members, state_dict["members"], strict=True):
            member.load_state_dict(saved)


def muon(stage: Training, model: nn.Module, more: Sequence[dict[str, Any]] = ()) -> MuonWithAdamW:
    """The optimizer of a stage with `optimizer: muon`; `more` as there."""
    own = stage.adamw_learning_rate
    return MuonWithAdamW(
        *split_parameters(model),
        lr=stage.peak_rate,
        adamw_lr=own if isinstance(own, float) else stage.peak_rate,
        betas=stage.adam_betas(BETAS),
        weight_decay=stage.weight_decay,
        more=more,
    )


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """(matrices for Muon, everything else): trainable ones only; embeddings and head are else."""
    tables = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, nn.Embedding)
        for parameter in module.parameters()
    }
    head = getattr(model, "get_output_embeddings", lambda: None)()
    tables |= {id(parameter) for parameter in head.parameters()} if head is not None else set()
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [p for p in trainable if p.ndim == 2 and id(p) not in tables]
    chosen = {id(parameter) for parameter in matrices}
    return matrices, [p for p in trainable if id(p) not in chosen]
