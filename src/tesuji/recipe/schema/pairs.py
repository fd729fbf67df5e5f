"""The stages that learn from pairs: DPO and the reward model."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from tesuji.recipe.schema.sections import Auto, Text, not_zero
from tesuji.recipe.schema.training import Length, Training


class PairTraining(Training):
    """What the stages that learn from pairs have in common."""

    data: Text | None = None
    """A JSONL file of rows with `prompt`, `chosen` and `rejected`; default: the data stage
    before."""
    epochs: float = Field(1.0, gt=0, le=100_000)
    """Passes over the training pairs, unless max_steps says otherwise."""
    max_steps: Annotated[int, AfterValidator(not_zero)] = Field(-1, ge=-1, le=1_000_000_000)
    """Stop after this many optimizer steps; -1: after `epochs`."""
    batch_size: int = Field(2, ge=1, le=1_000_000)
    """Pairs per forward pass; several processes share them out."""
    gradient_accumulation_steps: int = Field(1, ge=1, le=1_000_000)
    """Forward passes per optimizer step."""
    max_length: Length | Auto = "auto"
    """Longest prompt + reply in tokens; a longer prompt loses its beginning, and a pair whose
    reply alone is longer is left out; both are counted and reported. `auto`: as long as the
    longest is, and the model reads."""
    eval_steps: int | None = Field(None, ge=1, le=1_000_000_000)
    """Optimizer steps between two looks at the held-out pairs; default: at the end only."""


class DpoStage(PairTraining):
    """Direct preference optimisation (Rafailov et al. 2023) with TRL's DPOTrainer. The reference
    is the model the stage begins with."""

    unsettled: ClassVar[float] = 5e-6
    kind: Literal["dpo"] = "dpo"
    """May be left out where the stage is called so."""
    beta: float = Field(0.1, gt=0, le=1_000)
    """How strongly the policy is held to the reference."""
    loss_type: Literal["sigmoid", "hinge", "ipo", "robust", "sigmoid_norm", "apo_zero"] = "sigmoid"
    """The loss, by TRL's name; `sigmoid` is the paper's."""
    label_smoothing: float = Field(0.0, ge=0.0, lt=0.5)
    """Share of the labels believed to be wrong; needs `loss_type: robust`, the one loss in which
    TRL uses it."""

    @model_validator(mode="after")
    def _smoothing_is_used(self) -> "DpoStage":
        if self.label_smoothing and self.loss_type != "robust":
            raise ValueError("label_smoothing does nothing but with loss_type: robust")
        return self


class RewardStage(PairTraining):
    """A reward model with TRL's RewardTrainer: a number for a reply, the better one's higher. The
    policy stays as it was; later stages use the model as reward term `reward_model`, and as
    `critic: reward_model`."""

    unsettled: ClassVar[float] = 1e-5
    kind: Literal["reward"] = "reward"
    """May be left out where the stage is called so."""
    disable_dropout: bool = True
    """Turn dropout off while training."""
    center_rewards_coefficient: float | None = Field(None, gt=0, le=1_000)
    """Pull the rewards towards a mean of 0 this strongly (Eisenstein et al. 2023)."""
