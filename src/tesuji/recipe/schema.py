"""The typed recipe: every key, its default and what it does, in one place.

The field descriptions are the documentation: `docs/recipe-reference.md`, the JSON schema for
editors and the error messages are all made from them. Unknown keys are refused.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Tracker = Literal["tensorboard", "wandb", "trackio"]


class Section(BaseModel):
    """Base of all recipe sections: immutable, and strict about unknown keys and other kinds of
    values (`"3"` is no number, `true` is not 1)."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class GameSection(Section):
    """Which game is played. A bare name is short for `{name: ...}`."""

    name: str
    """Name of the game, as `tesuji games` lists it."""
    options: dict[str, int | float | bool | str] = {}
    """The game's own options, e.g. `{players: 3}` for Kuhn poker."""


class LoraSection(Section):
    """Low-rank adapters (PEFT). Leave the section out for full fine-tuning."""

    r: int = Field(16, ge=1)
    """Rank of the adapters."""
    alpha: int = Field(32, ge=1)
    """Scale: the adapter's output is multiplied by alpha / r."""
    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    """Dropout in front of the adapters (0 for reinforcement learning)."""
    target_modules: str | list[str] = "all-linear"
    """Which layers get an adapter, as PEFT's `target_modules`."""


class TinyModel(Section):
    """The shape of a model built from scratch, with a byte-level tokenizer of its own."""

    architecture: Literal["qwen3", "qwen2", "llama"] = "qwen3"
    """Whose layers to build."""
    hidden_size: int = Field(64, ge=8)
    """Width of the residual stream."""
    num_hidden_layers: int = Field(2, ge=1)
    """Number of transformer blocks."""
    num_attention_heads: int = Field(4, ge=1)
    """Attention heads per block; must divide hidden_size."""
    num_key_value_heads: int = Field(4, ge=1)
    """Key/value heads per block; must divide num_attention_heads."""
    intermediate_size: int = Field(256, ge=8)
    """Width of the feed-forward layer."""
    max_position_embeddings: int = Field(1024, ge=16)
    """Longest sequence the model accepts, in tokens."""

    @model_validator(mode="after")
    def _heads_divide(self) -> "TinyModel":
        if self.hidden_size % self.num_attention_heads:
            raise ValueError("hidden_size must be a multiple of num_attention_heads")
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError("num_attention_heads must be a multiple of num_key_value_heads")
        return self


class ModelSection(Section):
    """The model that learns."""

    base: str = "tiny"
    """`tiny` (built from `model.tiny`, no download), a Hugging Face id, or a local folder."""
    tiny: TinyModel = TinyModel()
    """The shape used when `base: tiny`."""
    lora: LoraSection | None = None
    """Train adapters instead of all weights."""
    load_in_4bit: bool = False
    """Load the base weights in 4 bits (needs bitsandbytes and a GPU; use with `lora`)."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto`: bfloat16 on a GPU that has it, float32 elsewhere."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the model runs."""
    attn_implementation: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    """Attention kernel, as transformers names it."""
    revision: str | None = None
    """Branch, tag or commit of a Hub model."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model. Leave off unless you have read that code."""

    @model_validator(mode="after")
    def _four_bit_needs_lora(self) -> "ModelSection":
        if self.load_in_4bit and self.lora is None:
            raise ValueError("load_in_4bit trains only with adapters: add a `lora:` section")
        return self


class PromptSection(Section):
    """What the model is shown, and how its reply is read."""

    style: Literal["compact", "full"] = "full"
    """`compact`: the position and the seat, nothing else (for tiny models).
    `full`: rules, current state, seat and the legal moves."""
    answer: Literal["id", "move"] = "move"
    """What the model is asked to reply with: the move's number, or its notation."""
    system: str | None = None
    """A system message in front, for models whose chat template takes one."""
    retry: bool = True
    """Ask once more, with the reason, when a reply holds no legal move."""
    on_illegal: Literal["forfeit", "random"] = "forfeit"
    """When the retry fails too: lose the match, or have a random legal move played (recorded as
    not the model's own)."""
    enable_thinking: bool = False
    """Passed to chat templates that know it (Qwen3). Off: no `<think>` block is opened."""


class SamplingSection(Section):
    """How replies are drawn from the model."""

    temperature: float = Field(1.0, ge=0.0)
    """0 takes the likeliest token."""
    top_p: float = Field(1.0, gt=0.0, le=1.0)
    """Nucleus sampling: the smallest set of tokens with this much probability."""
    max_new_tokens: int = Field(32, ge=1)
    """Longest reply, in tokens."""
    legal_only: bool = False
    """Sample among the legal moves only (a trie over their tokens)."""
    batch_size: int = Field(256, ge=1)
    """Most prompts in one forward pass."""


class PlayerSection(Section):
    """Someone who chooses moves. A bare name is short for `{player: ...}`."""

    model_config = ConfigDict(extra="allow")

    player: str
    """random, minimax, mcts, ismcts, cfr, scripted, ... ; all other keys are that player's
    options, e.g. `{player: mcts, simulations: 100}`."""

    @property
    def options(self) -> dict[str, Any]:
        """The player's own options."""
        return dict(self.model_extra or {})

    @property
    def label(self) -> str:
        """A short name that tells two configurations apart: `mcts(simulations=100)`."""
        inside = ", ".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.player}({inside})" if inside else self.player


def _player(value: Any) -> Any:
    return {"player": value} if isinstance(value, str) else value


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
    """Share of positions (whole symmetry classes) kept out of training."""
    held_out_from: Literal["all", "off_path"] = "all"
    """Where held-out positions are drawn from. `off_path`: only positions that the side to move
    could not have reached by playing the oracle's moves alone."""

    _players = field_validator("oracle", mode="before")(_player)

    @field_validator("sampled_by", mode="before")
    @classmethod
    def _list_of_players(cls, value: Any) -> Any:
        return [_player(item) for item in value] if isinstance(value, list) else [_player(value)]

    @model_validator(mode="after")
    def _off_path_needs_all(self) -> "DataStage":
        if self.held_out_from == "off_path" and self.positions != "all":
            raise ValueError("held_out_from: off_path needs positions: all")
        if not self.sampled_by:
            raise ValueError("sampled_by needs at least one player")
        return self


class SftStage(Section):
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
    learning_rate: float = Field(2e-5, gt=0)
    """Peak learning rate."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`muon`: Muon for the hidden matrices, AdamW for the rest."""
    adamw_learning_rate: float | None = Field(None, gt=0)
    """With `muon`: the learning rate of the part that AdamW trains; default: learning_rate."""
    lr_scheduler_type: Literal[
        "linear", "cosine", "constant", "constant_with_warmup", "warmup_stable_decay"
    ] = "cosine"
    """Learning-rate schedule, as transformers names it."""
    warmup_steps: float = Field(0, ge=0)
    """Steps of linear warm-up; below 1: a share of all steps."""
    weight_decay: float = Field(0.0, ge=0)
    """Decoupled weight decay."""
    max_grad_norm: float = Field(1.0, ge=0)
    """Gradient clipping; 0 turns it off."""
    max_length: int = Field(1024, ge=8)
    """Longest row in tokens; what is cut is counted and reported."""
    soft_targets: bool = False
    """Where the rows hold several replies to one prompt, teach at each token the distribution
    over all of them instead of one reply a row: less noise, fewer steps."""
    gradient_checkpointing: bool = False
    """Trade time for memory."""
    logging_steps: int = Field(10, ge=1)
    """Optimizer steps between two lines of the metric log."""
    save_steps: int = Field(500, ge=1)
    """Optimizer steps between two checkpoints."""
    save_total_limit: int = Field(2, ge=1)
    """Checkpoints kept."""
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


Stage = Annotated[DataStage | SftStage, Field(discriminator="kind")]
STAGE_KINDS = ("data", "sft")


class EvaluationSection(Section):
    """How the model is judged, before the first stage and after the last."""

    opponents: list[PlayerSection] = [PlayerSection(player="random")]
    """Whom it plays."""
    episodes: int = Field(100, ge=1)
    """Matches per opponent, seats rotated evenly."""
    temperature: float = Field(0.0, ge=0.0)
    """Sampling temperature of the model under evaluation; 0 is greedy."""
    before: bool = True
    """Evaluate the base model too, so that there is something to compare with."""
    positions: int = Field(2000, ge=0)
    """Most positions on which the share of optimal moves is measured (0: none)."""
    oracle: PlayerSection = PlayerSection(player="minimax")
    """Who says what is optimal."""
    certificate: bool = False
    """Walk the greedy policy's whole game tree, both seats: can it still be beaten?"""
    max_moves: int = Field(500, ge=1)
    """Moves after which a match is cut off and recorded as truncated."""

    _players = field_validator("oracle", mode="before")(_player)

    @field_validator("opponents", mode="before")
    @classmethod
    def _list_of_players(cls, value: Any) -> Any:
        return [_player(item) for item in value] if isinstance(value, list) else value


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
    report_to: list[Tracker] = []
    """Trackers fed beside `metrics.jsonl`, by transformers' names."""

    @field_validator("game", mode="before")
    @classmethod
    def _bare_game(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

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
