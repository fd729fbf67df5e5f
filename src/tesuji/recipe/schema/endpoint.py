"""How a model behind an OpenAI-compatible endpoint is asked: for thoughts, verdicts and moves."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from tesuji.recipe.schema.sections import (
    ENDPOINT,
    MEANS,
    MEANS_BEFORE,
    Auto,
    PromptSection,
    Section,
    Text,
)

_OURS = {"max_completion_tokens", "max_tokens", "messages", "model", "n"}
_OURS |= {"seed", "stream", "temperature"}
_OWN_KEY = "budget and cache rest on one whole reply of known length to what the other keys say"


class EndpointSection(Section):
    """An OpenAI-compatible endpoint that writes thoughts, or compares replies. Its key comes from
    the environment."""

    base_url: Text = "http://127.0.0.1:8000/v1"
    """Where the endpoint is."""
    model: Text = "default"
    """Model name to ask for."""
    api_key_env: Text = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key (never the key itself)."""
    concurrency: int = Field(8, ge=1, le=10_000)
    """Requests under way at once."""
    timeout_s: float = Field(60.0, gt=0, le=604_800)
    """Seconds for one answer, from asking to its last byte; what takes longer is asked again."""
    retries: int = Field(4, ge=0, le=100)
    """How often a failed request is tried again, waiting longer each time, and as long as the
    server says (`Retry-After`, up to two minutes)."""
    temperature: float | None = Field(0.7, ge=0.0, le=100)
    """Sampling temperature asked for; none: it is not sent, for models that refuse it."""
    max_tokens: int = Field(200, ge=1, le=1_000_000)
    """Longest answer, in tokens."""
    limit_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the limit is called in a request; OpenAI's newer models know the longer name only."""
    extra_body: dict[str, Any] = {}
    """Whatever else this server wants in a request, e.g. `{reasoning_effort: low}`."""
    max_requests: int | None = Field(None, ge=1, le=1_000_000_000)
    """Requests to this model that the run may send, repeated ones included; the run stops before
    the next. A run gone on with does not begin anew."""
    max_dollars: float | None = Field(None, gt=0, le=1_000_000)
    """What this model may cost the run; needs both prices. The run stops before a request that
    could cost more than is left."""
    input_price: float | None = Field(None, ge=0, le=1_000_000)
    """Dollars for a million tokens read."""
    output_price: float | None = Field(None, ge=0, le=1_000_000)
    """Dollars for a million tokens written."""

    @field_validator("extra_body")
    @classmethod
    def _only_more(cls, extra: dict[str, Any]) -> dict[str, Any]:
        if ours := sorted(_OURS & {*extra}):
            raise ValueError(f"{ours[0]} does not belong here: {_OWN_KEY}")
        return extra

    @model_validator(mode="after")
    def _dollars_need_prices(self) -> "EndpointSection":
        if self.max_dollars is not None and None in (self.input_price, self.output_price):
            raise ValueError("max_dollars needs input_price and output_price")
        return self


class EndpointPlayerSection(EndpointSection):
    """The options of the player `openai`: an endpoint's, and what it is shown."""

    model: Text = Field()
    """Model name to ask for."""
    retries: int = Field(6, ge=0, le=100)
    """How often a failed request is tried again."""
    max_tokens: int = Field(512, ge=1, le=1_000_000)
    """Longest reply, thoughts included, in tokens."""
    send_seed: bool = True
    """Send the decision's own seed where the temperature is not 0."""
    style: Literal["compact", "full"] = "full"
    """What it is shown, as in `prompt`."""
    answer: Literal["id", "move"] = "move"
    """What it is asked to reply with, as in `prompt`."""
    history: Literal["none", "full"] = "none"
    """`full`: a match is one conversation."""
    system: Text | None = None
    """A system message in front."""
    cache: Text | Auto | None = "auto"
    """File that keeps the replies for later runs; `auto`: one in Tesuji's own cache; none: none."""
    name: Text | None = None
    """What tables call this player, in place of its options."""

    @property
    def prompt(self) -> PromptSection:
        """What it is shown, as a recipe's `prompt` has it."""
        return PromptSection(
            style=self.style, answer=self.answer, history=self.history, system=self.system
        )


def answers_only(value: Any) -> Any:
    """A dumped section without what changes nothing in the answers of its endpoints, so that a run
    with a larger budget goes on. What endpoints had from the first stands at its default."""
    if isinstance(value, list):
        return [answers_only(item) for item in value]
    if not isinstance(value, dict):
        return value
    inner = {key: answers_only(item) for key, item in value.items()}
    if value.get("player") == ENDPOINT:
        return {key: item for key, item in inner.items() if key not in MEANS}
    return _answers_of(inner) if "api_key_env" in value else inner


def _answers_of(endpoint: Mapping[str, Any]) -> dict[str, Any]:
    fields = EndpointSection.model_fields
    always = {"base_url", "model", "temperature", "max_tokens"}
    changed = {
        key: item
        for key, item in endpoint.items()
        if key not in MEANS and (key in always or item != fields[key].default)
    }
    return changed | MEANS_BEFORE
