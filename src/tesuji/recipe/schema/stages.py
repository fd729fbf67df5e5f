"""The stages a recipe can list, each with its own keys."""

from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from tesuji.recipe.schema.data import DataStage, LogsStage
from tesuji.recipe.schema.pairs import DpoStage, RewardStage
from tesuji.recipe.schema.rl import GrpoStage, PpoStage, ReinforceStage
from tesuji.recipe.schema.sections import Auto, Section, Text, not_zero
from tesuji.recipe.schema.training import Length, Training


class SftStage(Training):
    """Supervised fine-tuning on the rows of a data stage (TRL's SFTTrainer)."""

    kind: Literal["sft"] = "sft"
    """May be left out where the stage is called so."""
    data: Text | None = None
    """A JSONL file of rows with `prompt` and `completion`; default: the data stage before."""
    epochs: float = Field(3.0, gt=0, le=100_000)
    """Passes over the training rows, unless max_steps says otherwise."""
    max_steps: Annotated[int, AfterValidator(not_zero)] = Field(-1, ge=-1, le=1_000_000_000)
    """Stop after this many optimizer steps; -1: after `epochs`."""
    batch_size: int = Field(8, ge=1, le=1_000_000)
    """Rows per forward pass; several processes share them out."""
    gradient_accumulation_steps: int = Field(1, ge=1, le=1_000_000)
    """Forward passes per optimizer step."""
    max_length: Length | Auto = "auto"
    """Longest row in tokens; what is cut is counted and reported. `auto`: as long as the longest
    is, and the model reads."""
    soft_targets: bool = False
    """Where the rows hold several replies to one prompt, teach at each token the distribution
    over all of them instead of one reply a row: less noise, fewer steps."""
    eval_steps: int | None = Field(None, ge=1, le=1_000_000_000)
    """Optimizer steps between two looks at the held-out rows; default: none during training."""
    early_stopping_patience: int | None = Field(None, ge=1, le=1_000_000)
    """Stop after this many looks without a better held-out loss (needs eval_steps)."""
    stop_when: Literal["never", "certificate"] = "never"
    """`certificate`: look every `stop_check_steps` whether the greedy policy can still be beaten,
    and stop when it cannot (small perfect-information games)."""
    stop_check_steps: int = Field(100, ge=1, le=1_000_000_000)
    """Optimizer steps between two such looks."""

    @model_validator(mode="after")
    def _patience_needs_looks(self) -> "SftStage":
        if self.early_stopping_patience and not self.eval_steps:
            raise ValueError("early_stopping_patience needs eval_steps")
        return self


Learner = SftStage | DpoStage | RewardStage | GrpoStage | PpoStage | ReinforceStage
Stage = Annotated[DataStage | LogsStage | Learner, Field(discriminator="kind")]
STAGES: Mapping[str, type[Section]] = {
    stage.model_fields["kind"].default: stage for stage in get_args(get_args(Stage)[0])
}
