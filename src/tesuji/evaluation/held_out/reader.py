"""A model that reads prompts, as training and sampling see them, and replies to them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tesuji.core.types import Message, Sampled
from tesuji.learners.model.load import Policy
from tesuji.learners.model.memory import telling_memory
from tesuji.learners.sft.tokens import cut_prompt
from tesuji.players.prompting.chat_template import render_prompt
from tesuji.players.sampling.base import Sampler
from tesuji.players.sampling.local import LocalSampler
from tesuji.recipe.schema.sections import PromptSection, SamplingSection


@dataclass(frozen=True, slots=True)
class Reader:
    """A model that reads rows: `longest` tokens in all, `longest_prompt` of them the prompt.
    `sampler`, in this process, scores replies that are given; it samples the model's own, too,
    unless there is a `replier`."""

    sampler: LocalSampler
    tokenizer: Any
    longest: int
    longest_prompt: int
    enable_thinking: bool = False
    replier: Sampler | None = None

    def prompt(self, messages: Sequence[Message], reply: int) -> tuple[Sequence[int], bool] | None:
        """The prompt's ids, and whether its beginning was cut so that `reply` tokens fit behind
        it; None where they do not fit at all."""
        ids = render_prompt(self.tokenizer, messages, enable_thinking=self.enable_thinking)
        fitted = cut_prompt(ids, reply, self.longest, self.longest_prompt)
        return None if fitted is None else (fitted, len(fitted) < len(ids))

    def prompts(
        self, conversations: Sequence[Sequence[Message]], sampling: SamplingSection
    ) -> list[tuple[Sequence[int], bool]]:
        """Each prompt with room for a reply behind it, and whether it was cut. Replies take at
        most half of what the model can hold."""
        room = self._new_tokens(sampling)
        return [self.prompt(messages, room) or ([], False) for messages in conversations]

    def replies(
        self,
        prompts: Mapping[int, Sequence[int]],
        sampling: SamplingSection,
        seed_of: Callable[[int], int],
        doing: str,
    ) -> Iterator[dict[int, Sampled]]:
        """One free reply a prompt, by its place, batch after batch of prompts of like length; each
        has a random stream of its own, whatever it is batched with. Raises EngineError."""
        sampler = self.replier or self.sampler
        places = sorted(prompts, key=lambda place: len(prompts[place]))
        for start in range(0, len(places), sampling.batch_size):
            chunk = places[start : start + sampling.batch_size]
            with telling_memory(doing):
                replies = sampler.sample(
                    [prompts[place] for place in chunk],
                    temperature=sampling.temperature,
                    top_p=sampling.top_p,
                    max_new_tokens=self._new_tokens(sampling),
                    seeds=[seed_of(place) for place in chunk],
                    stop_ids=sampler.stop_ids,
                )
            yield dict(zip(chunk, replies, strict=True))

    def _new_tokens(self, sampling: SamplingSection) -> int:
        return min(sampling.max_new_tokens, max(1, self.longest // 2))


def reader_of(
    policy: Policy,
    prompt: PromptSection,
    batch_size: int,
    max_length: int = 1 << 20,
    replier: Sampler | None = None,
) -> Reader:
    """The model as it reads with this recipe: at most `max_length` tokens, and what it can hold.
    It replies in this process unless a `replier` is given."""
    sampler = LocalSampler(policy.model, policy.tokenizer, batch_size=batch_size)
    longest = min(max_length, sampler.longest or max_length)
    longest_prompt = min(longest, prompt.max_length or longest)
    thinking = prompt.enable_thinking
    return Reader(sampler, policy.tokenizer, longest, longest_prompt, thinking, replier)
