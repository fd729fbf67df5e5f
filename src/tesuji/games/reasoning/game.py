"""A hundred procedural tasks as one-turn games: a question is shown, the answer is scored.

    game = load_game("rg_chain_sum", {"min_terms": 2, "max_terms": 3})

Each task of reasoning-gym is a game, `rg_` and its name; it makes a new question for every seed and
scores answers itself (`library.py` says where it errs). The game pays 1 for an answer that scores
all there is, else 0; with `partial: true` it pays the task's own partial scores of 0.1 and more.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from typing import Any, Literal

from pydantic import ConfigDict

from tesuji.core.errors import GameError
from tesuji.core.types import Message
from tesuji.games.base import GameInfo
from tesuji.games.one_turn import OneTurnGame, OneTurnMatch, one_turn_info
from tesuji.games.options import Options, read_options
from tesuji.games.reasoning.library import INSTALL, MISSING, Item, check_options, make_item, score
from tesuji.games.reasoning.names import AREA_OF, PREFIX, UNAVAILABLE

FAMILY = "reasoning_gym"
LEAST = 0.1  # a smaller partial score is what the scorers pay for anything at all
LONGEST = 2_000  # characters of an answer, unless the right one is longer
SYSTEMS = Literal["default", "simple", "direct", "chain_of_draft", "DeepSeekZero", "none"]


class ReasoningOptions(Options):
    """Options of every task, beside its own."""

    model_config = ConfigDict(extra="allow")

    system: SYSTEMS = "default"
    """Which of the library's instructions stands in front. With `none` the whole reply is the
    answer, else what stands in the one `<answer>` tag."""
    split: Literal["train", "held_out"] = "train"
    """Which seeds of the library are asked."""
    partial: bool = False
    """Whether partial scores of 0.1 and more are paid."""

    @property
    def own(self) -> dict[str, Any]:
        """The options of the task itself."""
        return dict(self.model_extra or {})


_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def names() -> tuple[str, ...]:
    """Every task, those that cannot be played among them."""
    return tuple(PREFIX + task for task in sorted([*AREA_OF, *UNAVAILABLE]))


def info(name: str) -> GameInfo:
    """Facts about the game, without importing the library."""
    task = name.removeprefix(PREFIX)
    missing = "" if find_spec("reasoning_gym") else f"{MISSING}: {INSTALL}"
    title = f"{task.replace('_', ' ').capitalize()} ({AREA_OF.get(task, 'mixture')})"
    return one_turn_info(name, title, FAMILY, unavailable=UNAVAILABLE.get(task, missing))


def load(name: str, options: Mapping[str, Any]) -> "ReasoningGame":
    """The game with these options. Raises GameError for options that there are not or that the task
    refuses, and for tasks that cannot be played."""
    task = name.removeprefix(PREFIX)
    if reason := info(name).unavailable:
        raise GameError(f"{name} is unavailable: {reason}", where="game.name")
    game = ReasoningGame(name, dict(options))
    check_options(task, game.settings.own)
    return game


@dataclass(frozen=True)
class ReasoningGame(OneTurnGame):
    """One task with its options, on one side of the split of its seeds."""

    @property
    def info(self) -> GameInfo:
        """One seat, free text."""
        return info(self.name)

    @property
    def rules(self) -> str:
        """For people; a model is shown the instructions and the question."""
        return "A question is shown; the answer to it, given in the form asked for, is scored."

    @cached_property
    def task(self) -> str:
        """The library's name of it."""
        return self.name.removeprefix(PREFIX)

    @cached_property
    def settings(self) -> ReasoningOptions:
        """The options as they are understood. Raises GameError."""
        return read_options(ReasoningOptions, self.name, self.options)

    @property
    def held_out(self) -> "ReasoningGame | None":
        """The same task with other seeds; where it has few questions, some are the same."""
        if self.settings.split != "train":
            return None
        return replace(self, options={**self.options, "split": "held_out"})

    def start(self, seed: int) -> "ReasoningMatch":
        """A match about the question of this seed: even seeds of the library are for training, odd
        ones are held out."""
        odd = self.settings.split == "held_out"
        item = make_item(self.task, self.settings.own, seed % 2**30 * 2 + odd)
        return ReasoningMatch(self, item)


class ReasoningMatch(OneTurnMatch):
    """One question and, in the end, the reply to it."""

    def __init__(self, game: ReasoningGame, item: Item) -> None:
        self.game, self.item = game, item

    def observe(self, seat: int) -> str:
        """The question."""
        return str(self.item["question"])

    def messages(self, seat: int) -> tuple[Message, ...]:
        """The library's instructions, and the question."""
        question = Message(role="user", content=self.observe(seat))
        system = self.game.settings.system
        if system == "none":
            return (question,)
        from reasoning_gym.utils import SYSTEM_PROMPTS

        return (Message(role="system", content=SYSTEM_PROMPTS[system].strip()), question)

    def judge(self, reply: str) -> tuple[float, str]:
        """What the task's scorer gives the answer in the reply."""
        if not reply:
            return 0.0, "the reply is empty"
        answer, problem = self._answer_in(reply)
        problem = problem or self._trick(answer)
        if problem:
            return 0.0, problem
        value = score(self.game.task, self.game.settings.own, self.item, answer)
        if value >= 1.0:
            return 1.0, ""
        pays = self.game.settings.partial and value >= LEAST
        return (value if pays else 0.0), f"scored {value:.3g} of 1"

    def _answer_in(self, reply: str) -> tuple[str, str]:
        if self.game.settings.system == "none":
            return reply.strip(), ""
        begun = reply.count("<answer>")
        answers = _ANSWER.findall(reply) if begun == 1 else []
        if len(answers) != 1:
            return "", f"{begun} answers in tags, not one" if begun != 1 else "no end of the answer"
        return answers[0].strip(), ""

    def _trick(self, answer: str) -> str:
        """What is wrong with an answer before it is scored; "" for nothing."""
        if not answer:
            return "the answer is empty"
        if len(answer) > max(LONGEST, 2 * len(str(self.item["answer"] or ""))):
            return f"the answer is longer than {LONGEST:,} characters"
        question, plain = (" ".join(text.split()) for text in (self.observe(0), answer))
        return "the answer repeats the question" if question in plain else ""

    def role(self, seat: int) -> str:
        """The task's name."""
        return self.game.task

    def answer(self, seat: int) -> str | None:
        """The task's own answer in the form asked for; None where it gives none."""
        if self.item["answer"] is None:
            return None
        text = str(self.item["answer"])
        return text if self.game.settings.system == "none" else f"<answer>{text}</answer>"

    def verdict_text(self) -> str:
        """What the reply earned, and why no more."""
        return f"{self.earned:g}: {self.problem or 'right'}"
