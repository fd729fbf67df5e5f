"""A conversation with a model, told token by token.

Everything said is kept and shown again through the chat template, as
`players/prompting/chat_template.py` renders it. Where it grows too long for the model, the oldest
exchanges are left out.
"""

import random
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import torch

from tesuji.core.tensors import on_device
from tesuji.core.types import Message
from tesuji.players.prompting.chat_template import decode_reply, render_prompt
from tesuji.players.sampling.kv_context import Context
from tesuji.players.sampling.local import LocalSampler
from tesuji.players.sampling.plain_context import PlainContext
from tesuji.players.sampling.support_check import support_of
from tesuji.players.sampling.token_draw import distribution, draw

BROKEN = "\ufffd"  # what a decoder writes for the first bytes of a character


class Conversation:
    """What was said so far, and the model that replies.

    `forgotten` counts the messages that the last reply was given without, for want of room.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        system: str | None = None,
        temperature: float = 0.7,
        top_p: float = 1.0,
        max_new_tokens: int = 256,
        enable_thinking: bool = False,
        seed: int | None = None,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.system = system
        self.temperature = temperature
        self.top_p = top_p
        self.max_new_tokens = max_new_tokens
        self.enable_thinking = enable_thinking
        self.messages: list[Message] = []
        self.forgotten = 0
        sampler = LocalSampler(model, tokenizer)
        self.stop_ids, self.longest = sampler.stop_ids, sampler.longest
        self._uniform = random.Random(seed).random

    def reset(self) -> None:
        """Forget everything but the system message."""
        self.messages.clear()

    def reply(self, text: str) -> Generator[str]:
        """Say `text`, and yield the reply in pieces. Closed before its end, the conversation goes
        on with what was said until then; with nothing said, `text` is forgotten too."""
        message = Message(role="user", content=text)
        prompt, room = self._fitted(message)
        ids: list[int] = []
        sent = ""
        try:
            for token in stream_tokens(
                self.model,
                prompt,
                temperature=self.temperature,
                top_p=self.top_p,
                max_new_tokens=room,
                stop_ids=self.stop_ids,
                uniform=self._uniform,
            ):
                ids.append(token)
                whole = decode_reply(self.tokenizer, ids)
                if not whole.endswith(BROKEN) and len(whole) > len(sent):
                    sent, piece = whole, whole[len(sent) :]
                    yield piece
            rest = decode_reply(self.tokenizer, ids)[len(sent) :]
            if rest:
                yield rest
        finally:
            if ids:
                answer = decode_reply(self.tokenizer, ids)
                self.messages += [message, Message(role="assistant", content=answer)]

    def _fitted(self, message: Message) -> tuple[list[int], int]:
        """The ids the model reads, and how many tokens it may reply."""
        kept = [*self.messages, message]
        ids = self._rendered(kept)
        if self.longest is None:
            return ids, self.max_new_tokens
        room = max(1, min(self.max_new_tokens, self.longest // 2))
        while len(ids) > self.longest - room and len(kept) > 1:
            kept = kept[2:]
            ids = self._rendered(kept)
        self.forgotten = len(self.messages) + 1 - len(kept)
        return ids[-(self.longest - room) :], room

    def _rendered(self, messages: Sequence[Message]) -> list[int]:
        head = [Message(role="system", content=self.system)] if self.system else []
        return render_prompt(
            self.tokenizer, [*head, *messages], enable_thinking=self.enable_thinking
        )


def _begun(model: Any, prompt: Sequence[int]) -> tuple[Context | PlainContext, torch.Tensor]:
    """What has read the prompt, and the logits after it."""
    support = support_of(model)
    if not support.plain:
        return Context.of(model, [prompt], masks=support.shared)
    context = PlainContext(model, [prompt], cached=support.cached)
    return context, context.logits


@torch.inference_mode()
def stream_tokens(
    model: Any,
    prompt: Sequence[int],
    *,
    temperature: float,
    top_p: float,
    max_new_tokens: int,
    stop_ids: frozenset[int],
    uniform: Callable[[], float],
) -> Iterator[int]:
    """The ids of one reply as they are drawn, the one that ends it left out. `uniform()` gives a
    number in [0, 1) for each."""
    context, logits = _begun(model, prompt)
    for _ in range(max_new_tokens):
        number = on_device([uniform()], logits.device)
        ids, _ = draw(distribution(logits, temperature, top_p), number)
        token = int(ids)
        if token in stop_ids:
            return
        yield token
        logits = context.advance(ids)
