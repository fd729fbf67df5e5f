"""The typed recipe as a whole: its sections (`sections.py`), its stages (`stages.py`), and how the
result is judged."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from tesuji.recipe.schema.projects import (
    ModalSection,
    VllmSection,
    WandbSection,
    refuse_different,
    with_vllm,
)
from tesuji.recipe.schema.sections import (
    Different,
    DistributedSection,
    GameSection,
    ModelSection,
    PlayerSection,
    PromptSection,
    RolloutsSection,
    SamplingSection,
    Section,
)
from tesuji.recipe.schema.stages import Stage

Tracker = Literal["tensorboard", "wandb", "trackio"]


class EvaluationSection(Section):
    """How the model is judged, before the first stage and after the last."""

    game: GameSection | None = None
    """The table it sits down to, where it is judged at another game than the recipe's: with
    `game: prompts`, that of the logs, which then asks as their rows do. Default: the recipe's."""
    opponents: Annotated[list[PlayerSection], Different] = [PlayerSection(player="random")]
    """Whom it plays. In a game of one seat: who plays the same matches beside it."""
    beside: Annotated[list[PlayerSection], Different] = []
    """Who else plays the same matches in the model's place, beside a random player."""
    episodes: int = Field(100, ge=1, le=10_000_000)
    """Matches per opponent, seats rotated evenly."""
    options: dict[str, int | float | bool | str] = {}
    """Options of the game that differ where the model is judged, e.g. `{split: held_out}`."""
    temperature: float = Field(0.0, ge=0.0, le=100)
    """Sampling temperature of the model under evaluation; 0 is greedy."""
    before: bool = True
    """Evaluate the base model too, so that there is something to compare with."""
    each_stage: bool = False
    """Evaluate after every stage that changes the policy, not only after the last."""
    rows: int | None = Field(None, ge=0, le=1_000_000_000)
    """Most held-out rows that are replied to and compared with what was played there; the
    perplexity and the preference accuracy take all of them. Default: 200 where the data come from
    logs, else none."""
    positions: int = Field(2000, ge=0, le=1_000_000_000)
    """Most positions on which the share of optimal moves is measured (0: none)."""
    oracle: PlayerSection = PlayerSection(player="minimax")
    """Who says what is optimal."""
    certificate: bool = False
    """Walk the greedy policy's whole game tree, both seats: can it still be beaten?"""
    exploitability: bool = False
    """Measure exactly what a best response would win, in small games; where there are more than
    two seats or the sum is not zero, NashConv (`nash_conv`)."""
    max_moves: int = Field(500, ge=1, le=1_000_000)
    """Moves after which a match is cut off and recorded as truncated."""

    @model_validator(mode="after")
    def _options_of_one_game(self) -> "EvaluationSection":
        why = "are those of the recipe's game: write them into evaluation.game.options"
        self.needs({"options": (self.game is None, why)})
        return self


class Recipe(Section):
    """One file that says everything: model, game, prompt, stages, evaluation."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)
    """Name of the recipe, and of the run folder under `runs/`."""
    description: str = ""
    """One line for `tesuji recipes`."""
    seed: int = Field(1, ge=0, lt=2**32)
    """Everything random follows from it."""
    game: GameSection
    """What is played."""
    model: ModelSection = ModelSection()
    """Who learns."""
    prompt: PromptSection = PromptSection()
    """What it is shown."""
    sampling: SamplingSection = SamplingSection()
    """How it answers."""
    stages: dict[str, Stage]
    """What happens, in this order. A stage's kind is its name unless `kind:` says otherwise."""
    evaluation: EvaluationSection = EvaluationSection()
    """How it is judged."""
    distributed: DistributedSection | None = None
    """How many processes learn, see scale.md. Default: one, or as many as torchrun starts."""
    rollouts: RolloutsSection = RolloutsSection()
    """Where reinforcement learning plays its matches, see scale.md."""
    report_to: Annotated[list[Tracker], Different] = []
    """Trackers fed beside `metrics.jsonl`, by transformers' names."""

    modal: ModalSection | None = None
    """What to rent there, see rented-machines.md."""
    vllm: VllmSection | None = None
    """vLLM's settings under its own names; default: as `sampling` says."""
    wandb: WandbSection | None = None
    """Reports to Weights & Biases."""

    @model_validator(mode="before")
    @classmethod
    def _short_for(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        value = dict(value)
        if isinstance(vllm := value.get("vllm"), dict):
            value["sampling"] = with_vllm(value.get("sampling"), vllm)
        if value.get("wandb") is not None:
            trackers = cls._one_tracker(value.get("report_to", []))
            if isinstance(trackers, list) and "wandb" not in trackers:
                value["report_to"] = [*trackers, "wandb"]
        return value

    @field_validator("vllm")
    @classmethod
    def _as_sampling(cls, value: VllmSection | None, info: ValidationInfo) -> VllmSection | None:
        if value is not None and "sampling" in info.data:
            refuse_different(info.data["sampling"], value)
        return value

    @field_validator("report_to", mode="before")
    @classmethod
    def _one_tracker(cls, value: Any) -> Any:
        if value in ("none", None):
            return []
        return [value] if isinstance(value, str) else value

    @field_validator("stages", mode="before")
    @classmethod
    def _kinds_from_names(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        kept = {name: body for name, body in value.items() if body is not False}
        return {
            name: {"kind": name, **(body or {})} if isinstance(body, dict | None) else body
            for name, body in kept.items()
        }
