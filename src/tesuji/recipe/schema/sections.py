"""The recipe's shared sections: game, model, prompt, sampling, players.

The field descriptions are the documentation: `docs/recipe-reference.md`, the JSON schema for
editors and the error messages are all made from them. Unknown keys are refused.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

Items = TypeVar("Items", bound=list[Any])


def no_twice(items: Items) -> Items:
    """The list itself; ValueError where something stands in it twice."""
    for place, item in enumerate(items):
        if item in items[:place]:
            raise ValueError(f"the entry {place} stands there twice: leave one out")
    return items


def not_zero(steps: int) -> int:
    """The number of steps itself; ValueError for 0, which would train nothing."""
    if steps == 0:
        raise ValueError("0 steps train nothing: leave it out, or write -1 for all epochs")
    return steps


def of_ray(address: str) -> str:
    """The address itself; ValueError for one that Ray does not know."""
    if address not in ("local", "auto") and not re.fullmatch(r"(ray://)?[^\s/@]+:\d+", address):
        raise ValueError("write local, auto, ray://HOST:PORT or HOST:PORT")
    return address


ENDPOINT = "openai"  # the player behind an endpoint
MEANS_BEFORE = {"api_key_env": "OPENAI_API_KEY", "concurrency": 8, "timeout_s": 60.0, "retries": 4}
MEANS = {  # of an endpoint's keys those that change nothing in what it answers
    *MEANS_BEFORE,
    *("max_requests", "max_dollars", "input_price", "output_price", "cache", "name"),
}
Text = Annotated[str, Field(min_length=1)]
Auto = Literal["auto"]
Different = AfterValidator(no_twice)


class Section(BaseModel):
    """Base of all recipe sections: immutable, and strict about unknown keys and other kinds of
    values (`"3"` is no number, `true` is not 1)."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    def needs(self, reasons: Mapping[str, tuple[object, str]]) -> None:
        """Refuse keys that mean nothing beside the others: `reasons` has for each (whether it means
        something, what to say after its name). A key left at its default is never refused.

        Raises ValueError, which pydantic reports.
        """
        for key, (met, why) in reasons.items():
            if not met and getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"{key} {why}")


class GameSection(Section):
    """Which game is played. A bare name is short for `{name: ...}`."""

    name: Text
    """Name of the game, as `tesuji games` lists it."""
    options: dict[str, int | float | bool | str | list[int | float | bool | str]] = {}
    """The game's own options, e.g. `{players: 3}` for Kuhn poker."""

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class LoraSection(Section):
    """Low-rank adapters (PEFT). `lora: null` trains all weights."""

    r: int = Field(16, ge=1, le=65_536)
    """Rank of the adapters."""
    alpha: int = Field(32, ge=1, le=65_536)
    """Scale: the adapter's output is multiplied by alpha / r."""
    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    """Dropout in front of the adapters; reinforcement learning computes without it."""
    target_modules: Text | Annotated[list[Text], Field(min_length=1), Different] = "all-linear"
    """Which layers get an adapter, as PEFT's `target_modules`."""


class TinyModel(Section):
    """The shape of a model built from scratch, with a byte-level tokenizer of its own."""

    architecture: Literal["qwen3", "qwen2", "llama"] = "qwen3"
    """Whose layers to build."""
    hidden_size: int = Field(64, ge=8, le=65_536)
    """Width of the residual stream."""
    num_hidden_layers: int = Field(2, ge=1, le=1_000)
    """Number of transformer blocks."""
    num_attention_heads: int = Field(4, ge=1, le=1_024)
    """Attention heads per block; must divide hidden_size."""
    num_key_value_heads: int = Field(4, ge=1, le=1_024)
    """Key/value heads per block; must divide num_attention_heads."""
    intermediate_size: int = Field(256, ge=8, le=1_000_000)
    """Width of the feed-forward layer."""
    max_position_embeddings: int = Field(1024, ge=16, le=10_000_000)
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

    base: Text = "tiny"
    """`tiny` (built from `model.tiny`, no download), `smollm2` (SmolLM2-135M-Instruct), a Hugging
    Face id, a local folder, or a GGUF file."""
    tiny: TinyModel = TinyModel()
    """The shape used when `base: tiny`."""
    lora: LoraSection | Auto | None = "auto"
    """Train adapters instead of all weights; none: all weights. `auto`: adapters where somebody
    has trained the model and it is not small, see models.md."""
    load_in_4bit: bool = False
    """Load the base weights in 4 bits (needs bitsandbytes and a GPU; use with `lora`)."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto`: bfloat16 on a GPU that has it, and for models that are not tiny on a CPU that has
    instructions for it; float32 elsewhere."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the model runs."""
    attn_implementation: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    """Attention kernel, as transformers names it. A model that knows no `sdpa` gets `eager`."""
    revision: Text | None = None
    """Branch, tag or commit of a Hub model."""
    overrides: dict[Text, Text | dict[str, Any]] = {}
    """Another model for some games: game → `base`, or keys of this section, e.g. `{vf-wordle:
    Qwen/Qwen2.5-0.5B-Instruct}`. Settled when the file is read."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model. Leave off unless you have read that code."""

    @property
    def adapters(self) -> LoraSection | None:
        """The adapters to train; None also for an `auto` that nobody has settled."""
        return None if self.lora == "auto" else self.lora

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
    history: Literal["none", "full"] = "none"
    """`full`: the whole match is one conversation, each turn following the earlier ones and what
    was replied to them. `none`: each turn is asked afresh."""
    system: Text | None = None
    """A system message in front, for models whose chat template takes one."""
    max_length: int | None = Field(None, ge=1, le=10_000_000)
    """Longest prompt in tokens; a longer one loses its beginning. Default: no limit."""
    retry: bool = True
    """Ask once more, with the reason, when a reply holds no legal move."""
    on_illegal: Literal["forfeit", "random"] = "forfeit"
    """When the retry fails too: lose the match, or have a random legal move played (recorded as
    not the model's own)."""
    enable_thinking: bool = False
    """Passed to chat templates that know it (Qwen3). Off: no `<think>` block is opened."""


ENGINE_PYTHON = "TESUJI_ENGINE_PYTHON"  # in a container's environment: its Python with vLLM


class SamplingSection(Section):
    """How replies are drawn from the model."""

    temperature: float = Field(1.0, ge=0.0, le=100)
    """0 takes the likeliest token."""
    top_p: float = Field(1.0, gt=0.0, le=1.0)
    """Nucleus sampling: the smallest set of tokens with this much probability."""
    max_new_tokens: int = Field(32, ge=1, le=1_000_000)
    """Longest reply, in tokens."""
    legal_only: bool = False
    """Sample among the legal moves only (a trie over their tokens)."""
    batch_size: int = Field(256, ge=1, le=1_000_000)
    """Most prompts in one forward pass; of an engine: most requests under way at once."""
    engine: Literal["local", "vllm"] = "local"
    """Who samples the model's replies in reinforcement learning and in evaluations: the model in
    this process, or vLLM servers, which get its weights before every rollout and evaluation."""
    url: Annotated[list[Text], Different] = []
    """Addresses of vLLM servers that run already, such as `http://127.0.0.1:8001`; none: Tesuji
    starts one on this machine, and stops it."""
    engine_python: Text | None = None
    """The Python of the environment in which vLLM is installed, where it is not this one."""
    gpu_memory_utilization: float | None = Field(None, gt=0.0, le=1.0)
    """Of the server that is started: share of its GPU's memory that it may take."""
    max_model_len: int | None = Field(None, ge=16, le=10_000_000)
    """Of the server that is started: longest prompt and reply; default: the model's context."""
    tensor_parallel_size: int = Field(1, ge=1, le=1_024)
    """Of the server that is started: GPUs that share the model."""
    timeout_s: float = Field(120.0, gt=0, le=86_400)
    """Seconds for one answer of an engine; what takes longer is asked of the next server."""

    @field_validator("url", mode="before")
    @classmethod
    def _one_address(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _engine_keys_mean_something(self) -> "SamplingSection":
        vllm, ours = self.engine == "vllm", "is of the server that is started here"
        started = vllm and not self.url
        asked = dict.fromkeys(("url", "timeout_s"), (vllm, "is of an engine: add engine: vllm"))
        keys = ("engine_python", "gpu_memory_utilization", "max_model_len", "tensor_parallel_size")
        self.needs(asked | dict.fromkeys(keys, (started, f"{ours}: engine: vllm without url")))
        return self


def replies_only(sampling: Mapping[str, Any]) -> dict[str, Any]:
    """A dumped `SamplingSection` without what changes no reply: where an engine is, and how it is
    started. The local sampler is the one that was there before there were engines."""
    means = {"url", "engine_python", "gpu_memory_utilization", "max_model_len"}
    means |= {"tensor_parallel_size", "timeout_s"}
    means |= {"engine"} if sampling["engine"] == "local" else set()
    return {key: value for key, value in sampling.items() if key not in means}


class DistributedSection(Section):
    """Several processes that learn together, each from its share of every batch."""

    processes: int = Field(ge=1, le=65_536)
    """How many; a GPU each where the model is on GPUs. A run of another number is refused."""
    strategy: Literal["ddp", "zero1", "zero2", "zero3", "fsdp"] = "ddp"
    """`ddp`: each has the whole model. DeepSpeed's ZeRO: each keeps its part of the optimizer
    state (`zero1`), of the gradients too (`zero2`), of the weights too (`zero3`). `fsdp`: its part
    of all three (FSDP2)."""
    offload: Literal["none", "optimizer", "all"] = "none"
    """What ZeRO keeps in the CPU's memory: the optimizer and its step, or (`zero3`) the weights
    that are not in use as well."""
    zero_optimization: dict[str, int | float | bool | str] = {}
    """Options of DeepSpeed's section of this name, e.g. `{overlap_comm: true}`."""

    @model_validator(mode="after")
    def _only_zero(self) -> "DistributedSection":
        zero = self.zero_stage > 0, "is DeepSpeed's: it needs strategy zero1, zero2 or zero3"
        self.needs({"offload": zero, "zero_optimization": zero})
        if self.processes == 1 and self.strategy != "ddp":
            raise ValueError(f"strategy {self.strategy} parts a model among several processes")
        if self.offload == "all" and self.zero_stage < 3:
            raise ValueError("offload: all needs strategy zero3, which has the weights in parts")
        if "stage" in self.zero_optimization:
            raise ValueError("zero_optimization.stage is what `strategy` says")
        return self

    @property
    def zero_stage(self) -> int:
        """DeepSpeed's `zero_optimization.stage`; 0 for what is not DeepSpeed's."""
        return int(self.strategy[4:]) if self.strategy.startswith("zero") else 0


class RolloutsSection(Section):
    """Where the matches of reinforcement learning are played. What is learned is the same."""

    engine: Literal["here", "ray"] = "here"
    """`here`: in the processes that learn. `ray`: in actors of Ray, each on a CPU core of this
    machine or of others (needs `tesuji[ray]`)."""
    address: Annotated[Text, AfterValidator(of_ray)] = "local"
    """`local`: a Ray of its own on this machine, stopped at the end. `ray://HOST:10001` (from
    anywhere), `HOST:6379` or `auto` (on one of its machines): a cluster that is there."""
    actors: Annotated[int, Field(ge=1, le=65_536)] | Auto = "auto"
    """How many play; each has the model in memory. `auto`: one a core, at most one a group."""

    @model_validator(mode="after")
    def _of_ray(self) -> "RolloutsSection":
        why = "is of Ray: add engine: ray"
        self.needs(dict.fromkeys(("address", "actors"), (self.engine == "ray", why)))
        return self


class NamedSection(Section):
    """A section that names something, and takes as its other keys the options of that."""

    model_config = ConfigDict(extra="allow")

    @property
    def options(self) -> dict[str, Any]:
        """The options of what is named."""
        return dict(self.model_extra or {})


class PlayerSection(NamedSection):
    """Someone who chooses moves. A bare name is short for `{player: ...}`."""

    player: Text
    """random, minimax, mcts, ismcts, cfr, scripted, entropy, openai, ... ; all other keys are that
    player's options, e.g. `{player: mcts, simulations: 100}`."""

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        return {"player": value} if isinstance(value, str) else value

    @property
    def label(self) -> str:
        """A short name that tells two configurations apart: `mcts(simulations=100)`. An endpoint
        has the one that it is given, or its options without those that change no reply."""
        options = self.options
        if self.player == ENDPOINT:
            if options.get("name"):
                return str(options["name"])
            options = {key: value for key, value in options.items() if key not in MEANS}
        inside = ", ".join(f"{key}={value}" for key, value in options.items())
        return f"{self.player}({inside})" if inside else self.player


def sections_in(annotation: Any) -> Iterator[type[Section]]:
    """The sections that a key of this type may hold."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for part in get_args(annotation):
        yield from sections_in(part)
