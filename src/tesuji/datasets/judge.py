"""A judge model compares two replies to the same prompt, in both orders.

A judge that changes its mind when the two change places has no opinion: such answers are dropped
and counted. Answers are kept in `judge.sqlite`, so that a killed run asks for nothing twice; the
asking itself is that of `datasets/llm_endpoint.py`.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from tesuji.core.progress import Progress
from tesuji.core.types import Message
from tesuji.datasets.llm_endpoint import write_thoughts
from tesuji.recipe.schema.endpoint import EndpointSection

ASKED = (
    "Two players were shown the situation below. Which reply is the better one for the player who "
    "gives it?\n\n{prompt}\n\nReply A:\n{a}\n\nReply B:\n{b}\n\n"
    "Answer with one letter, A or B."
)
_LETTER = re.compile(r"(?<![A-Za-z])([AB])(?![A-Za-z])")

Asked = tuple[Sequence[Message], str, str]  # prompt, one reply, the other


def question(prompt: Sequence[Message], first: str, second: str) -> str:
    """What the judge is asked."""
    situation = "\n\n".join(message["content"] for message in prompt)
    return ASKED.format(prompt=situation, a=first, b=second)


def verdict(answer: str | None) -> str:
    """ "A", "B", or "" where the answer names neither or both."""
    letters = set(_LETTER.findall(answer or ""))
    return letters.pop() if len(letters) == 1 else ""


def judged(
    items: Sequence[Asked],
    endpoint: EndpointSection,
    cache: Path,
    progress: Progress,
) -> list[bool | None]:
    """Of each item whether its first reply is the better one; None where the judge does not say
    the same in both orders. Raises EngineError when the endpoint does not answer."""
    texts = [q for prompt, a, b in items for q in (question(prompt, a, b), question(prompt, b, a))]
    questions = [(Message(role="user", content=text),) for text in texts]
    progress.begin("judging", len(questions))
    where = "stages.logs.pairs.judge"
    answers = write_thoughts(questions, endpoint, cache, progress, what="verdicts", where=where)
    verdicts = [verdict(answer) for answer in answers]
    return [_agreed(verdicts[i], verdicts[i + 1]) for i in range(0, len(verdicts), 2)]


def _agreed(straight: str, swapped: str) -> bool | None:
    return {("A", "B"): True, ("B", "A"): False}.get((straight, swapped))
