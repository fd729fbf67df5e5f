"""The stages a recipe can list, each with its own keys."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from tesuji.recipe.rl import GrpoStage, PpoStage, ReinforceStage
from tesuji.recipe.sections import PlayerSection, Section, bare_player
from tesuji.recipe.training import Training

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class EndpointSection(Section):
    """An OpenAI-compatible endpoint that writes thoughts. Its key comes from the environment."""

    base_url: str = "http://127.0.0.1:8000/v1"
    """Where the endpoint is."""
    model: str = "default"
    """Model name to ask for."""
    api_key_env: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key (never the key itself)."""
    concurrency: int = Field(8, ge=1)
    """Requests under way at once."""
    timeout_s: float = Field(60.0, gt=0)
    """Seconds to wait for one answer."""
    retries: int = Field(4, ge=0)
    """How often a failed request is tried again, waiting longer each time."""
    temperature: float = Field(0.7, ge=0.0)
    """Sampling temperature asked for."""
    max_tokens: int = Field(200, ge=1)
    """Longest thought, in tokens."""


class DataStage(Section):
    """Positions of the game, labelled by a player that knows better: rows for SFT."""

    kind: Literal["data"] = "data"
    """May be left out where the stage is called so."""
    positions: Literal["all", "sampled"] = "all"
    """`all` reachable positions (small games), or those `sampled` from play."""
    num_positions: int = Field(2000, ge=1)
    """How many distinct positions to keep when `sampled`."""
    sampled_by: list[PlayerSection] = [PlayerSection(player="random")]
    """Who plays the matches from which positions are sampled; seats are dealt among them."""
    oracle: PlayerSection = PlayerSection(player="minimax")
    """Who labels the positions."""
    moves: Literal["all", "one"] = "all"
    """Teach all equally good moves of a position, or one of them."""
    thoughts: Literal["none", "template", "llm"] = "none"
    """Words in front of the move: none, true sentences derived from the position, or an LLM's."""
    endpoint: EndpointSection = EndpointSection()
    """Who writes the thoughts when `thoughts: llm`."""
    held_out: Share = 0.1
    """Share of the symmetry classes that `held_out_from` allows, kept out of training."""
    held_out_from: Literal["all", "off_path"] = "all"
    """Where held-out positions are drawn from. `off_path`: only positions that the side to move
    could not have reached by playing the oracle's moves alone."""

    _players = field_validator("oracle", mode="before")(bare_player)

    @field_validator("sampled_by", mode="before")
    @classmethod
    def _list_of_players(cls, value: Any) -> Any:
        return (
            [bare_player(item) for item in value]
            if isinstance(value, list)
            else [bare_player(value)]
        )

    @model_validator(mode="after")
    def _off_path_needs_all(self) -> "DataStage":
        if self.held_out_from == "off_path" and self.positions != "all":
            raise ValueError("held_out_from: off_path needs positions: all")
        if not self.sampled_by:
            raise ValueError("sampled_by needs at least one player")
        return self


class SftStage(Training):
    """Supervised fine-tuning on the rows of a data stage (TRL's SFTTrainer)."""

    kind: Literal["sft"] = "sft"
    """May be left out where the stage is called so."""
    data: str | None = None
    """A JSONL file of rows with `prompt` and `completion`; default: the data stage before."""
    epochs: float = Field(3.0, gt=0)
    """Passes over the training rows, unless max_steps says otherwise."""
    max_steps: int = Field(-1, ge=-1)
    """Stop after this many optimizer steps; -1: after `epochs`."""
    batch_size: int = Field(8, ge=1)
    """Rows per device and forward pass."""
    gradient_accumulation_steps: int = Field(1, ge=1)
    """Forward passes per optimizer step."""
    max_length: int = Field(1024, ge=8)
    """Longest row in tokens; what is cut is counted and reported."""
    soft_targets: bool = False
    """Where the rows hold several replies to one prompt, teach at each token the distribution
    over all of them instead of one reply a row: less noise, fewer steps."""
    eval_steps: int | None = Field(None, ge=1)
    """Optimizer steps between two looks at the held-out rows; default: none during training."""
    early_stopping_patience: int | None = Field(None, ge=1)
    """Stop after this many looks without a better held-out loss (needs eval_steps)."""
    stop_when: Literal["never", "certificate"] = "never"
    """`certificate`: look every `stop_check_steps` whether the greedy policy can still be beaten,
    and stop when it cannot (small perfect-information games)."""
    stop_check_steps: int = Field(100, ge=1)
    """Optimizer steps between two such looks."""

    @model_validator(mode="after")
    def _patience_needs_looks(self) -> "SftStage":
        if self.early_stopping_patience and not self.eval_steps:
            raise ValueError("early_stopping_patience needs eval_steps")
        return self


Learner = SftStage | GrpoStage | PpoStage | ReinforceStage
Stage = Annotated[
    DataStage | SftStage | GrpoStage | PpoStage | ReinforceStage, Field(discriminator="kind")
]
STAGE_KINDS = ("data", "sft", "grpo", "ppo", "reinforce++")
