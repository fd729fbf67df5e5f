"""Messages to token ids and back. Sampler and trainer see the same ids because both ask here.

A training row is exactly `render_prompt(...) + render_reply(...)`. Control tokens that someone
wrote into a message ("<|im_end|>" in a chat of players) are encoded as plain text. A leading
message of role `tools` becomes the template's tools, or words, and so do calls (`tool_prompt.py`).
"""

import contextlib
import functools
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tesuji.core.errors import EngineError
from tesuji.core.types import Message
from tesuji.games.bfcl.calls import CLOSE
from tesuji.players.prompting.tool_prompt import forms, in_hermes_style, split_tools, takes_tools

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MARK = "marker"


def render_prompt(
    tokenizer: "PreTrainedTokenizerBase",
    messages: Sequence[Message],
    *,
    enable_thinking: bool = False,
) -> list[int]:
    """The ids after which the model is to reply: by its chat template, else plainly joined.

    A template that refuses a system message gets it in front of the first user message.
    """
    template = str(tokenizer.chat_template or "")
    pairs = tuple((message["role"], message["content"]) for message in messages)
    return list(_rendered(tokenizer, template, pairs, enable_thinking))


def render_next(
    tokenizer: "PreTrainedTokenizerBase", content: str, *, enable_thinking: bool = False
) -> list[int] | None:
    """The ids between a reply's end token and the next reply, when `content` is said next.

    None for a template that rewrites what stands before: then nothing can be appended.
    """
    template = str(tokenizer.chat_template or "")
    ids = _next(tokenizer, template, content, enable_thinking)
    return None if ids is None else list(ids)


def render_reply(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """The ids of a whole reply, the token that ends it included. Calls of tools at its end are
    written as the chat template writes them."""
    if text.endswith(CLOSE):
        template = str(tokenizer.chat_template or "")
        if (ids := _calling(tokenizer, template, text)) is not None:
            return list(ids)
    return [*_encoded(tokenizer, text), end_of_reply(tokenizer)]


def decode_reply(tokenizer: "PreTrainedTokenizerBase", ids: Sequence[int]) -> str:
    """The text of sampled ids, without the token that ended it."""
    text = tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return str(text)


def end_of_reply(tokenizer: "PreTrainedTokenizerBase") -> int:
    """The token that ends the assistant's turn in the template, else the eos token.

    Raises EngineError for a tokenizer that has neither.
    """
    return _end_of_reply(tokenizer, tokenizer.chat_template or "")


@functools.lru_cache(maxsize=16)
def _end_of_reply(tokenizer: "PreTrainedTokenizerBase", template: str) -> int:
    if template:
        turn = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _MARK}]
        text = tokenizer.apply_chat_template(turn, tokenize=False)
        after = tokenizer(str(text).rpartition(_MARK)[2], add_special_tokens=False)["input_ids"]
        if after and after[0] in tokenizer.added_tokens_decoder:
            return int(after[0])
    if tokenizer.eos_token_id is None:
        raise EngineError(
            "the tokenizer has no token that ends a reply",
            where=str(tokenizer.name_or_path),
            hint="set eos_token in its tokenizer_config.json",
        )
    return int(tokenizer.eos_token_id)


@functools.lru_cache(maxsize=8192)  # a template takes 150 us, a tiny model's whole reply 400 us
def _rendered(
    tokenizer: "PreTrainedTokenizerBase",
    template: str,
    pairs: tuple[tuple[str, str], ...],
    enable_thinking: bool,
) -> tuple[int, ...]:
    given = [Message(role=role, content=content) for role, content in pairs]
    tools, messages = split_tools(given)
    if tools is not None and not takes_tools(template):
        messages = in_hermes_style(tools, messages)
        tools = None
    if not template:
        return tuple(_plain(tokenizer, messages))
    *better, last = forms(template, messages)
    for form in better:
        with contextlib.suppress(EngineError, TypeError):  # such as arguments of another type
            return tuple(_templated(tokenizer, form, enable_thinking, tools))
    return tuple(_templated(tokenizer, last, enable_thinking, tools))


@functools.lru_cache(maxsize=8192)
def _calling(
    tokenizer: "PreTrainedTokenizerBase", template: str, text: str
) -> tuple[int, ...] | None:
    """The ids of a reply that ends with calls: what the template writes after its own beginning of
    a reply. None where it has no place for calls, or its reply cannot be told from the rest."""
    asked = Message(role="user", content="?")
    *better, _ = forms(template, [asked, Message(role="assistant", content=text)])
    end = end_of_reply(tokenizer)
    for form, thinking in itertools.product(better, (False, True)):
        with contextlib.suppress(EngineError, TypeError):
            start = _templated(tokenizer, [asked], thinking)
            whole = _templated(tokenizer, form, thinking, replied=True)
            if whole[: len(start)] == start and end in whole[len(start) :]:
                return tuple(whole[len(start) : whole.index(end, len(start)) + 1])
    return None


@functools.lru_cache(maxsize=8192)
def _next(
    tokenizer: "PreTrainedTokenizerBase", template: str, content: str, enable_thinking: bool
) -> tuple[int, ...] | None:
    if not template:
        return _encoded(tokenizer, content + "\n")
    before = [Message(role="user", content="?"), Message(role="assistant", content=_MARK)]
    start = _replied(tokenizer, template, enable_thinking)
    whole = _templated(tokenizer, [*before, Message(role="user", content=content)], enable_thinking)
    return tuple(whole[len(start) :]) if whole[: len(start)] == start else None


@functools.lru_cache(maxsize=16)
def _replied(
    tokenizer: "PreTrainedTokenizerBase", template: str, enable_thinking: bool
) -> list[int]:
    """A conversation up to the end of its first reply."""
    asked = [Message(role="user", content="?")]
    return _templated(tokenizer, asked, enable_thinking) + render_reply(tokenizer, _MARK)


@functools.lru_cache(maxsize=8192)
def _encoded(tokenizer: "PreTrainedTokenizerBase", text: str) -> tuple[int, ...]:
    """Ids of bare text: control tokens in it are text too."""
    return tuple(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])


def _templated(
    tokenizer: "PreTrainedTokenizerBase",
    messages: Sequence[Mapping[str, Any]],
    enable_thinking: bool,
    tools: list[dict[str, Any]] | None = None,
    *,
    replied: bool = False,
) -> list[int]:
    """The conversation by the template, up to where a reply begins; `replied`: as it stands."""
    from jinja2 import TemplateError

    try:
        return _apply(tokenizer, messages, enable_thinking, tools, replied)
    except TemplateError as error:
        if messages[0]["role"] == "system" and len(messages) > 1:
            merged = _without_system(messages)
            return _templated(tokenizer, merged, enable_thinking, tools, replied=replied)
        raise EngineError(
            f"the chat template refuses these messages: {error}",
            where=str(tokenizer.name_or_path),
            hint="use a model whose template takes user and assistant messages in turn",
        ) from error


def _apply(
    tokenizer: "PreTrainedTokenizerBase",
    messages: Sequence[Mapping[str, Any]],
    enable_thinking: bool,
    tools: list[dict[str, Any]] | None,
    replied: bool,
) -> list[int]:
    conversation: Any = list(messages)
    given: Any = tools
    encoded: Any = tokenizer.apply_chat_template(
        conversation,
        tools=given,
        add_generation_prompt=not replied,
        sanitize_control_tokens=_may_hold_controls(tokenizer, messages, tools),  # it is slow
        enable_thinking=enable_thinking,
    )
    return list(encoded["input_ids"])


def _may_hold_controls(
    tokenizer: "PreTrainedTokenizerBase",
    messages: Sequence[Mapping[str, Any]],
    tools: list[dict[str, Any]] | None,
) -> bool:
    """Whether what is said could be taken for a control token; of calls and tools it is assumed."""
    values = [value for message in messages for value in message.values()]
    if tools is not None or not all(isinstance(value, str) for value in values):
        return True
    return any(map(_controls(tokenizer).search, values))


@functools.lru_cache(maxsize=16)
def _controls(tokenizer: "PreTrainedTokenizerBase") -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, tokenizer.added_tokens_encoder)) or "(?!)")


def _without_system(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    system, first, *others = messages
    return [{**first, "content": f"{system['content']}\n\n{first['content']}"}, *others]


def _plain(tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message]) -> list[int]:
    """One message a line, after the token that begins a text, for tokenizers that set one."""
    text = "".join(message["content"] + "\n" for message in messages)
    begin = tokenizer("")["input_ids"][:1]
    return [*(id for id in begin if id == tokenizer.bos_token_id), *_encoded(tokenizer, text)]
