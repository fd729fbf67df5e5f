"""A model as a player: show the position, sample a reply, hand back words and tokens."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tesuji.core.errors import EngineError
from tesuji.core.types import Message, Move, Sampled
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.players.prompting.chat_template import (
    decode_reply,
    end_of_reply,
    render_next,
    render_prompt,
    render_reply,
)
from tesuji.players.prompting.prompt import answer_text, next_message, prompt_of
from tesuji.players.sampling.base import Choices, Sampler
from tesuji.players.sampling.legal_tokens import forks, masked_probabilities
from tesuji.recipe.schema.sections import PromptSection, SamplingSection

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class ModelPlayer(Player):
    """Chooses by asking a sampler, all requests in one go; sees observations only, no match."""

    def __init__(
        self,
        name: str,
        sampler: Sampler,
        tokenizer: "PreTrainedTokenizerBase",
        prompt: PromptSection,
        sampling: SamplingSection,
    ) -> None:
        self.name = name
        self.sampler = sampler
        self.tokenizer = tokenizer
        self.prompt = prompt
        self.sampling = sampling
        self._kept: tuple[Sequence[Move], list[list[int]]] = ((), [])

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        """One sampled reply a request. Raises EngineError when the sampler fails."""
        if not requests:
            return []
        prompts = [self._prompt(request) for request in requests]
        replies = self._sample(requests, [ids for _, ids in prompts])
        return [
            Reply(
                text=decode_reply(self.tokenizer, reply.reply_ids),
                prompt=messages,
                tokens=reply,
            )
            for (messages, _), reply in zip(prompts, replies, strict=True)
        ]

    def probabilities(self, requests: Sequence[MoveRequest]) -> list[dict[int, float]]:
        """For each request, how likely each legal move's own reply is, at temperature 1.

        Move id → probability. With `legal_only` that is the distribution sampled from; else they
        add up to less than 1, and the rest is said in other words or is no legal move.
        """
        if not requests:
            return []
        prompts = [self._prompt(request)[1] for request in requests]
        replies = [self._replies(request.legal or ()) for request in requests]
        chances = (self._masked if self.sampling.legal_only else self._free)(prompts, replies)
        return [
            {move.id: chance for move, chance in zip(request.legal or (), row, strict=True)}
            for request, row in zip(requests, chances, strict=True)
        ]

    def _free(self, prompts: list[list[int]], replies: list[list[list[int]]]) -> list[list[float]]:
        scores = self.sampler.score(prompts, replies)
        return [[math.exp(score) for score in row] for row in scores]

    def _masked(
        self, prompts: list[list[int]], replies: list[list[list[int]]]
    ) -> list[list[float]]:
        ways = [[way for fork in forks(some) for way in fork] for some in replies]
        scores = self.sampler.score(prompts, ways)
        return [
            masked_probabilities(some, dict(zip(row, known, strict=True)))
            for some, row, known in zip(replies, ways, scores, strict=True)
        ]

    def _replies(self, legal: Sequence[Move]) -> list[list[int]]:
        """Each move's own reply as token ids. The last list is kept: where all turns choose from
        one list of hundreds of words, rendering them took longer than the model."""
        kept, replies = self._kept
        if kept is not legal:
            replies = [render_reply(self.tokenizer, answer_text(self.prompt, m)) for m in legal]
            self._kept = legal, replies
        return replies

    def _rendered(self, messages: Sequence[Message]) -> list[int]:
        thinking = self.prompt.enable_thinking
        ids = render_prompt(self.tokenizer, messages, enable_thinking=thinking)
        return ids[-self.prompt.max_length :] if self.prompt.max_length else ids

    def _prompt(self, request: MoveRequest) -> tuple[tuple[Message, ...], list[int]]:
        """The messages, and the ids the model reads."""
        if self.prompt.history == "full" and (talk := self._talk_on(request)) is not None:
            return talk
        messages = self._messages(request)
        return messages, self._rendered(messages)

    def _talk_on(self, request: MoveRequest) -> tuple[tuple[Message, ...], list[int]] | None:
        """The conversation so far, token for token, and what is said next; None at its beginning,
        and for templates that cannot be gone on with."""
        earlier = [attempt for turn in request.history for attempt in turn.attempts]
        last = request.failed or (earlier[-1] if earlier else None)
        if last is None or last.tokens is None:
            return None
        message = next_message(
            self.prompt,
            observation=request.observation,
            seat=request.seat,
            role=request.match.role(request.seat),
            legal=request.legal,
            failed=request.failed,
            own=request.match.messages(request.seat),
        )
        thinking = self.prompt.enable_thinking
        new = render_next(self.tokenizer, message["content"], enable_thinking=thinking)
        if new is None:
            return None
        end = [] if last.tokens.stopped else [end_of_reply(self.tokenizer)]
        ids = [*last.tokens.prompt_ids, *last.tokens.reply_ids, *end, *new]
        reply = Message(role="assistant", content=last.reply)
        return (*last.prompt, reply, message), ids

    def _messages(self, request: MoveRequest) -> tuple[Message, ...]:
        return prompt_of(self.prompt, request)

    def _sample(
        self, requests: Sequence[MoveRequest], prompts: Sequence[Sequence[int]]
    ) -> list[Sampled]:
        try:
            return self.sampler.sample(
                prompts,
                temperature=self.sampling.temperature,
                top_p=self.sampling.top_p,
                max_new_tokens=self.sampling.max_new_tokens,
                seeds=[request.seed for request in requests],
                stop_ids=self.sampler.stop_ids,
                choices=self._choices(requests),
            )
        except (RuntimeError, MemoryError, IndexError) as error:
            raise _failure(self.name, error) from error

    def _choices(self, requests: Sequence[MoveRequest]) -> list[Choices | None] | None:
        """With `legal_only`: each request's legal replies as token ids; None for free text."""
        if not self.sampling.legal_only:
            return None
        return [self._replies(request.legal) if request.legal else None for request in requests]


def _failure(name: str, error: Exception) -> EngineError:
    """What sampling died of, in words: memory most often."""
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return EngineError(
            f"out of memory while {name} chose its moves",
            where="sampling.batch_size",
            hint="lower sampling.batch_size, use shorter prompts, or load_in_4bit",
        )
    return EngineError(
        f"sampling failed while {name} chose its moves: {type(error).__name__}: {error}",
        where="model.base",
        hint="check that model and tokenizer belong together; try model.dtype: float32",
    )
