"""`openai`: a model behind an OpenAI-compatible endpoint as a player.

{player: openai, model: qwen3-4b, base_url: http://127.0.0.1:8000/v1, temperature: 0.7}

It is shown what a model of ours is shown, and its words are read as that model's are. All requests
go out at once, `concurrency` of them at a time. Replies are kept on disk by all that they depend
on: server, model, messages, options, and, where the temperature is not 0, the decision's own seed.
So the same match is played again without asking, another match of the same moves asks anew.
"""

import functools
from collections.abc import Sequence
from typing import Any, ClassVar

from tesuji.core.run_folder import key_of
from tesuji.core.types import Message
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.players.endpoint.address import check_endpoint
from tesuji.players.endpoint.asker import Asker, Question
from tesuji.players.endpoint.cache import cache_of
from tesuji.players.endpoint.transport import Completion, NoText
from tesuji.players.prompting.parse_reply import split_thought
from tesuji.players.prompting.prompt import END_THINK, THINK, build_prompt, next_message
from tesuji.recipe.schema.endpoint import EndpointPlayerSection
from tesuji.recipe.schema.sections import ENDPOINT


class EndpointPlayer(Player):
    """Chooses by asking the endpoint; sees observations only, no match.

    A question without an answer, after all retries, is a reply with an `error`. Raises
    EndpointError where nobody can be reached, the key is refused or the budget is used up;
    RecipeError for an address that is none. The key is read when the first question is asked.
    """

    options: ClassVar = EndpointPlayerSection

    def __init__(self, **options: Any) -> None:
        self.section = EndpointPlayerSection.model_validate(options)
        self.name = self.section.name or f"{ENDPOINT}({self.section.model})"
        self._where = f"player: {self.name}"  # the name is another one later: the recipe's label
        check_endpoint(self._where, self.section, used=True)

    @functools.cached_property
    def asker(self) -> Asker:
        """Who asks, made when the first question is there."""
        cache = cache_of(self.section)
        return Asker(self.section, cache, read=reply_in, what="moves", where=self._where)

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        """One reply a request, in order."""
        if not requests:
            return []
        prompts = [self._messages(request) for request in requests]
        questions = [
            self._question(prompt, request.seed)
            for prompt, request in zip(prompts, requests, strict=True)
        ]
        replies = self.asker.ask(questions)
        return [
            self._reply(replies[question.key], prompt)
            for question, prompt in zip(questions, prompts, strict=True)
        ]

    def _reply(self, reply: str | Exception, prompt: tuple[Message, ...]) -> Reply:
        if isinstance(reply, str):
            return Reply(text=reply, prompt=prompt, asked_for=self.section.answer)
        words = self.asker.transport.cleaned(" ".join(str(reply).split()))
        return Reply(error=words[:300], prompt=prompt)

    def _question(self, messages: tuple[Message, ...], decision: int) -> Question:
        section = self.section
        drawn = decision % 2**31 if section.temperature != 0 else None
        key = key_of(
            section.base_url,
            section.model,
            section.temperature,
            section.limit_name,
            section.max_tokens,
            section.extra_body,
            section.send_seed,
            drawn,
            messages,
        )
        return Question(key, messages, drawn if section.send_seed else None)

    def _messages(self, request: MoveRequest) -> tuple[Message, ...]:
        own, role = request.match.messages(request.seat), request.match.role(request.seat)
        facts: dict[str, Any] = {
            "observation": request.observation,
            "seat": request.seat,
            "role": role,
            "legal": request.legal,
            "failed": request.failed,
            "own": own,
        }
        earlier = [attempt for turn in request.history for attempt in turn.attempts]
        last = request.failed or (earlier[-1] if earlier else None)
        if self.section.history == "none" or last is None or not last.prompt:
            return build_prompt(self.section.prompt, game=request.game, **facts)
        said = split_thought(last.reply)[1] or last.reply
        reply = Message(role="assistant", content=said)
        return (*last.prompt, reply, next_message(self.section.prompt, **facts))


def reply_in(completion: Completion) -> str:
    """What was replied, the thought in front where the server has it apart; "" where nothing was.
    Raises NoText for what is no text."""
    content = completion.content or ""
    if not isinstance(content, str):
        raise NoText(f"an answer whose content is no text, but {type(content).__name__}")
    if completion.reasoning and THINK not in content:
        content = f"{THINK}\n{completion.reasoning}\n{END_THINK}\n\n{content}"
    return content.encode("utf-8", "replace").decode("utf-8")  # no file holds half a character
