"""Function calling as a one-turn game: a question and functions are shown, one reply is given.

    game = load_game("bfcl", {"category": "parallel,multiple"})
    game.held_out                         # the same on the questions that no training sees

The game pays 1 for a reply that the leaderboard's checker counts as right and that is no trick
(`check.py`), else 0. A match's seed, modulo the number of questions, says which one is shown: seeds
0 to n - 1 show each once. A match's role is its category, so that figures by role are figures by
category.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

from pydantic import Field

from tesuji.core.errors import GameError
from tesuji.core.types import Message
from tesuji.games.base import GameInfo
from tesuji.games.bfcl.check import Verdict, checker, judge
from tesuji.games.bfcl.data import (
    INSTALL,
    MISSING,
    Question,
    categories_of,
    chosen,
    installed,
)
from tesuji.games.bfcl.gold import gold_reply
from tesuji.games.bfcl.show import signatures, tools_message
from tesuji.games.one_turn import OneTurnGame, OneTurnMatch, one_turn_info
from tesuji.games.options import Options, read_options

FAMILY = "bfcl"
NAMES: Mapping[str, str] = {  # name → its category where none is named
    "bfcl": "simple_python",
    "vf-bfcl-single-turn": "single_turn",
    "vf-tool-test": "simple_python,multiple,parallel,parallel_multiple",
}


class BfclOptions(Options):
    """Which questions are asked, and how they are shown."""

    category: str | list[str] = ""
    """A category or a group of them, several with commas or as a list; "": as the name has it."""
    split: Literal["train", "held_out", "all"] = "train"
    """Which side of the questions is asked."""
    held_out: float = Field(0.2, ge=0, lt=1)
    """The share of each category that no training sees."""
    split_seed: int = 0
    """Says, with `held_out`, which questions these are."""
    max_prompt_characters: int | None = Field(None, gt=0)
    """Longer questions are left out."""
    tasks: int | None = Field(None, gt=0)
    """How many questions at most."""
    show: Literal["tools", "signatures"] = "tools"
    """Functions as a chat template shows tools (Hermes elsewhere), or a line each."""


def names() -> tuple[str, ...]:
    """`bfcl`, and what its environments are called in verifiers."""
    return tuple(NAMES)


def info(name: str) -> GameInfo:
    """Facts about the game; says what to install where the leaderboard's package is missing."""
    unavailable = "" if installed() else f"{MISSING}: {INSTALL}"
    title = "Function calling (BFCL v4, one turn)"
    return one_turn_info(name, title, FAMILY, unavailable=unavailable)


def load(name: str, options: Mapping[str, Any]) -> "BfclGame":
    """The game with these options. Raises GameError for options that there are not, or that leave
    no question, and where data and checker are not installed."""
    if not installed():
        raise GameError(MISSING, where="game.name", hint=INSTALL)
    read_options(BfclOptions, name, options)
    checker()
    return _loaded(name, json.dumps(dict(options), sort_keys=True, default=str))


@lru_cache(maxsize=64)  # a game is loaded for every episode that is judged; choosing takes 10 ms
def _loaded(name: str, options: str) -> "BfclGame":
    game = BfclGame(name, json.loads(options))
    categories_of(game.category)
    return game


@dataclass(frozen=True)
class BfclGame(OneTurnGame):
    """The questions of some categories, on one side of the split."""

    @property
    def info(self) -> GameInfo:
        """One seat, free text."""
        return info(self.name)

    @property
    def rules(self) -> str:
        """For people; a model is shown the functions and the question."""
        return (
            "A question and the descriptions of some functions are shown. The reply calls the "
            "functions that answer it, with the right arguments, or none where none fits."
        )

    @cached_property
    def questions(self) -> tuple[Question, ...]:
        """The questions there are to play."""
        return chosen(
            categories_of(self.category),
            self.settings.split,
            held_out=self.settings.held_out,
            split_seed=self.settings.split_seed,
            fits=self._fits,
            tasks=self.settings.tasks,
        )

    @property
    def held_out(self) -> "BfclGame | None":
        """The same on the questions kept out of training, all of them; None where none are."""
        if self.settings.split != "train" or not self.settings.held_out:
            return None
        kept = {key: value for key, value in self.options.items() if key != "tasks"}
        return BfclGame(self.name, {**kept, "split": "held_out"})

    @property
    def tasks(self) -> int:
        """How many different matches there are: those of seeds 0 to `tasks` - 1."""
        return len(self.questions)

    @cached_property
    def settings(self) -> BfclOptions:
        """The options as they are understood. Raises GameError."""
        return read_options(BfclOptions, self.name, self.options)

    @property
    def category(self) -> str | list[str]:
        """What is asked for, or what the name stands for."""
        return self.settings.category or NAMES[self.name]

    def _fits(self, question: Question) -> bool:
        longest = self.settings.max_prompt_characters
        return longest is None or len(question_text(question, self.settings.show)) <= longest

    def start(self, seed: int) -> "BfclMatch":
        """A match about question number `seed`, modulo how many there are."""
        return BfclMatch(self.questions[seed % self.tasks], self.settings.show)


def messages_of(question: Question, show: str) -> tuple[Message, ...]:
    """A question as messages."""
    if show == "signatures":
        text = "\n\n".join(message["content"] for message in question.messages)
        return (Message(role="user", content=f"{signatures(question)}\n\n{text}"),)
    return (*tools_message(question), *question.messages)


def question_text(question: Question, show: str) -> str:
    """All that is shown of a question, as one text."""
    return "\n\n".join(message["content"] for message in messages_of(question, show))


class BfclMatch(OneTurnMatch):
    """One question and, in the end, the reply to it."""

    def __init__(self, question: Question, show: str) -> None:
        self.question, self.show = question, show
        self.verdict = Verdict(False)

    def observe(self, seat: int) -> str:
        """The functions, a line each, and what is said."""
        return question_text(self.question, "signatures")

    def messages(self, seat: int) -> tuple[Message, ...]:
        """The functions as tools and what is said; with `signatures` all in one message."""
        return messages_of(self.question, self.show)

    def judge(self, reply: str) -> tuple[float, str]:
        """1 for a reply that the checker holds for right, else 0; an empty one earns nothing, even
        where no call is wanted."""
        self.verdict = judge(self.question, reply)
        return float(self.verdict.right), self.verdict.problem

    def role(self, seat: int) -> str:
        """The question's category."""
        return self.question.category

    def answer(self, seat: int) -> str | None:
        """A right reply by the key."""
        return gold_reply(self.question)

    def verdict_text(self) -> str:
        """Right, or what is wrong."""
        return "right" if self.earned else self.problem
