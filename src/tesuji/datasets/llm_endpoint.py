"""Thoughts written by a language model behind any OpenAI-compatible endpoint.

`players/endpoint/asker.py` does the asking. Every thought goes into a small SQLite file at once, so
that a killed run asks for nothing twice.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tesuji.core.progress import SILENT, Progress
from tesuji.core.run_folder import key_of
from tesuji.core.types import Message, Move
from tesuji.games.base import Game, Match
from tesuji.players.endpoint.asker import GIVE_UP_AFTER, Asker
from tesuji.players.endpoint.asker import Question as Asked
from tesuji.players.endpoint.cache import ReplyCache
from tesuji.players.endpoint.transport import Completion, NoText
from tesuji.recipe.schema.endpoint import EndpointSection

LONGEST = 600  # characters of a thought that are kept
MOST_MISSING = 0.2  # share of questions that may stay without a thought

Question = tuple[Message, ...]  # the messages, as the endpoint gets them


def thought_question(game: Game, match: Match, seat: int, move: Move) -> Question:
    """Ask why `move` is right for `seat`, in a sentence or two."""
    text = (
        f"{game.rules}\n\nPosition:\n{match.observe(seat)}\n\nYou are {match.role(seat)} and have "
        f"decided to play {move.text}. Say in one or two short sentences what this move does. "
        "Speak in the first person, name no other move, and state only what is true of the board."
    )
    return (Message(role="user", content=text),)


def write_thoughts(
    questions: Sequence[Question],
    endpoint: EndpointSection,
    cache: Path,
    progress: Progress = SILENT,
    *,
    what: str = "thoughts",
    where: str = "stages.data.endpoint",
) -> list[str | None]:
    """One thought a question, in order; None where the endpoint gave none after all retries. `what`
    and `where` (the recipe's key) are for messages.

    Raises EngineError when the endpoint gives none at all, goes away in the middle, leaves more
    than a fifth of the questions without one, or has used up its budget; DataError when the cache
    cannot be written.
    """
    asked = [Asked(_key(question, endpoint), question) for question in questions]
    most_missing = max(GIVE_UP_AFTER, int(MOST_MISSING * len(asked)))
    asker = Asker(endpoint, ReplyCache(cache), read=thought_in, what=what, where=where)
    try:
        replies = asker.ask(asked, progress, most_missing)
    finally:
        asker.close()
    thoughts = {key: reply for key, reply in replies.items() if isinstance(reply, str)}
    return [thoughts.get(one.key) for one in asked]


def tidy(answer: Any) -> str:
    """The thought in an answer: no `<think>` block, one line, cut at a sentence; "" if none."""
    if not isinstance(answer, str):
        return ""
    text = re.sub(r"<think>.*?(</think>|$)", " ", answer[:50_000], flags=re.DOTALL)
    text = " ".join(re.sub(r"</?think>", " ", text).split())
    text = re.sub("[\ud800-\udfff]", "\ufffd", text)  # half a character: no file can hold it
    if len(text) <= LONGEST:
        return text
    cut = text[:LONGEST]
    end = max(cut.rfind(mark) for mark in ".!?")
    return cut[: end + 1] if end > 0 else ""


def thought_in(completion: Completion) -> str:
    """The thought in a completion. Raises NoText where there is none."""
    if thought := tidy(completion.content):
        return thought
    cut = "; the model was still thinking at max_tokens" if completion.cut else ""
    raise NoText(f"an answer without a text{cut}")


def _key(question: Question, endpoint: EndpointSection) -> str:
    more = (endpoint.extra_body,) if endpoint.extra_body else ()
    return key_of(question, endpoint.model, endpoint.temperature, endpoint.max_tokens, *more)
