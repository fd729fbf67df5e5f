"""The OpenAI dialect, as far as it is spoken here: what is asked, and how it is answered.

https://platform.openai.com/docs/api-reference/chat. Fields that are not listed are ignored, as
other servers do; those that would change the reply and are not offered are refused.
"""

import time
import uuid
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

MOST_TOKENS, MOST_CHOICES, MOST_CHARACTERS = 1_000_000, 128, 2_000_000


class Said(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(extra="ignore")
    role: Literal["system", "developer", "user", "assistant"]
    content: str = Field(max_length=MOST_CHARACTERS)

    @field_validator("content", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        """Parts of type text, joined; others are refused by their type."""
        if not isinstance(value, list):
            return "" if value is None else value
        if any(not isinstance(part, dict) or part.get("type") != "text" for part in value):
            raise ValueError("only parts of type text are read")
        return "".join(str(part.get("text", "")) for part in value)

    def plain(self) -> dict[str, str]:
        """The message as templates know it."""
        role = "system" if self.role == "developer" else self.role
        return {"role": role, "content": self.content}


class Table(BaseModel):
    """The position of a game, for a reply that has to be a legal move there."""

    model_config = ConfigDict(extra="forbid")
    name: str | None = None
    """Default: the game the model was trained on."""
    options: dict[str, int | float | bool | str] = {}
    seed: int = Field(0, ge=0)
    moves: list[int | str] = Field([], max_length=10_000)
    """What was played so far: each move's id or text."""


class StreamOptions(BaseModel):
    """What a stream says beside the text."""

    model_config = ConfigDict(extra="ignore")
    include_usage: bool = False


class StructuredOutputs(BaseModel):
    """vLLM's way to name the only replies."""

    model_config = ConfigDict(extra="forbid")
    choice: list[str] = Field(min_length=1, max_length=10_000)


class Asked(BaseModel):
    """What both kinds of request share."""

    model_config = ConfigDict(extra="ignore")
    model: str = ""
    max_tokens: int | None = Field(None, ge=1, le=MOST_TOKENS)
    temperature: float | None = Field(None, ge=0, le=100)
    top_p: float | None = Field(None, gt=0, le=1)
    n: int | None = Field(None, ge=1, le=MOST_CHOICES)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: list[str] | None = Field(None, max_length=16)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    structured_outputs: StructuredOutputs | None = None
    game: Table | None = None

    @field_validator("stop", mode="before")
    @classmethod
    def _one_stop(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class AskedChat(Asked):
    """`POST /v1/chat/completions`."""

    messages: list[Said] = Field(min_length=1, max_length=10_000)
    max_completion_tokens: int | None = Field(None, ge=1, le=MOST_TOKENS)
    tools: list[Any] | None = Field(None, max_length=0)
    """Not offered: a list with any is refused."""
    logprobs: Literal[False] | None = None


class AskedText(Asked):
    """`POST /v1/completions`."""

    prompt: str | list[str] | list[int] | list[list[int]]
    echo: Literal[False] | None = None
    logprobs: Literal[None] = None


def usage(prompt: int, reply: int) -> dict[str, int]:
    """Tokens read and drawn."""
    counts = {"prompt_tokens": prompt, "completion_tokens": reply}
    return {**counts, "total_tokens": prompt + reply}


class Answer:
    """The parts of one answer, whole or in chunks."""

    def __init__(self, model: str, *, chat: bool) -> None:
        self.chat = chat
        self._head = {
            "id": f"{'chatcmpl' if chat else 'cmpl'}-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": model,
        }

    def whole(self, texts: list[tuple[str, str]], used: dict[str, int]) -> dict[str, Any]:
        """All at once; `texts` are (text, finish_reason)."""
        kind = "chat.completion" if self.chat else "text_completion"
        choices = [self._choice(place, *text) for place, text in enumerate(texts)]
        return {**self._head, "object": kind, "choices": choices, "usage": used}

    def _choice(self, index: int, text: str, reason: str) -> dict[str, Any]:
        said: dict[str, Any] = {"text": text}
        if self.chat:
            said = {"message": {"role": "assistant", "content": text, "refusal": None}}
        return {"index": index, **said, "finish_reason": reason, "logprobs": None}

    def chunk(self, index: int, text: str | None, reason: str | None = None) -> dict[str, Any]:
        """A piece of a stream; `text` None in a chat's first and last chunk."""
        said: dict[str, Any] = {"text": text or ""}
        if self.chat:
            first = text is None and reason is None
            said = {"delta": {"role": "assistant", "content": ""} if first else {}}
            if text is not None:
                said = {"delta": {"content": text}}
        choice = {"index": index, **said, "finish_reason": reason, "logprobs": None}
        return {**self._head, "object": self._chunk, "choices": [choice]}

    def last(self, used: dict[str, int]) -> dict[str, Any]:
        """The chunk that says what was used."""
        return {**self._head, "object": self._chunk, "choices": [], "usage": used}

    @property
    def _chunk(self) -> str:
        return "chat.completion.chunk" if self.chat else "text_completion"


def problem(message: str, kind: str, code: str | None = None, param: str | None = None) -> Any:
    """An error as clients of OpenAI read it."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
