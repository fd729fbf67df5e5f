"""The keys every training stage shares: optimizer, schedule, clipping, checkpoints."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from tesuji.recipe.schema.sections import Auto, Section

Rate = Annotated[float, Field(gt=0, le=10)]
Length = Annotated[int, Field(ge=8, le=10_000_000)]
Beta = Annotated[float, Field(ge=0, lt=1)]


class Training(Section):
    """How weights are changed, and how often that is logged and saved."""

    unsettled: ClassVar[float] = 2e-5
    learning_rate: Rate | Auto = "auto"
    """Peak learning rate. `auto`: by the model's size and kind, see models.md."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`muon`: Muon for the hidden matrices, AdamW for the rest."""
    adamw_learning_rate: Rate | Auto | None = None
    """With `muon`: the learning rate of the part that AdamW trains; default: learning_rate, and
    with a learning_rate of `auto` that too."""
    betas: list[Beta] | None = Field(None, min_length=2, max_length=2)
    """AdamW's decay of the gradient's mean and of its square; default: [0.9, 0.999], with `muon`
    [0.9, 0.95]. Self-play goes round in circles less with a first of 0: see rl.md."""
    lr_scheduler_type: Literal[
        "linear", "cosine", "constant", "constant_with_warmup", "warmup_stable_decay"
    ] = "cosine"
    """Learning-rate schedule, as transformers names it."""
    warmup_steps: float = Field(0, ge=0, le=1_000_000_000)
    """Steps of linear warm-up; below 1: a share of all steps."""
    weight_decay: float = Field(0.0, ge=0, le=10)
    """Decoupled weight decay."""
    max_grad_norm: float = Field(1.0, ge=0, le=1_000_000)
    """Gradient clipping; 0 turns it off."""
    gradient_checkpointing: bool = False
    """Trade time for memory."""
    logging_steps: int = Field(10, ge=1, le=1_000_000_000)
    """Optimizer steps between two lines of the metric log."""
    save_steps: int = Field(500, ge=1, le=1_000_000_000)
    """Optimizer steps between two checkpoints."""
    save_total_limit: int = Field(2, ge=1, le=1_000_000)
    """Checkpoints kept."""

    @property
    def peak_rate(self) -> float:
        """`learning_rate` as a number; of an `auto` that was settled for no model, the rate of a
        whole one of about 7B."""
        return self.unsettled if self.learning_rate == "auto" else self.learning_rate

    @model_validator(mode="after")
    def _has_an_adamw_beside(self) -> "Training":
        why = "is for the part that AdamW trains beside Muon: add optimizer: muon"
        self.needs({"adamw_learning_rate": (self.optimizer == "muon", why)})
        return self

    def adam_betas(self, default: tuple[float, float] = (0.9, 0.999)) -> tuple[float, float]:
        """`betas` as torch wants them."""
        mean, square = self.betas or default
        return mean, square
