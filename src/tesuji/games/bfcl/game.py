"""Function calling as a one-turn game: a question and functions are shown, one reply is given.

    game = load_game("bfcl", {"category": "parallel,multiple"})
    game.held_out                         # the same on the questions that no training sees

The game pays 1 for a reply that the leaderboard's checker counts as right and that is no trick
(`check.py`), else 0. A match's seed, modulo the number of questions, says which one is shown: seeds
0 to n - 1 show each once. A match's role is its category, so that figures by role are figures by
category.

Options: `category` (a name, several with commas, or a list), `split` (`train`, `held_out`, `all`),
`held_out` (share), `split_seed`, `max_prompt_characters`, `tasks` (how many questions at most) and
`show`: `tools` (a chat template's own, Hermes elsewhere) or `signatures`, one line a function.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from tesuji.core.errors import GameError, IllegalMove
from tesuji.core.types import Message, Move
from tesuji.games.base import Game, GameInfo, Match
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

FAMILY = "bfcl"
NAMES: Mapping[str, str] = {  # name → its category where none is named
    "bfcl": "simple_python",
    "vf-bfcl-single-turn": "single_turn",
    "vf-tool-test": "simple_python,multiple,parallel,parallel_multiple",
}
DEFAULTS: Mapping[str, Any] = {
    "category": "",
    "split": "train",
    "held_out": 0.2,
    "split_seed": 0,
    "max_prompt_characters": None,
    "tasks": None,
    "show": "tools",
}
CHOICES = {"split": ("train", "held_out", "all"), "show": ("tools", "signatures")}


def names() -> tuple[str, ...]:
    """`bfcl`, and what its environments are called in verifiers."""
    return tuple(NAMES)


def info(name: str) -> GameInfo:
    """Facts about the game; says what to install where the leaderboard's package is missing."""
    return GameInfo(
        name=name,
        title="Function calling (BFCL v4, one turn)",
        family=FAMILY,
        seats=(1, 1),
        information="perfect",
        chance=True,
        simultaneous=False,
        zero_sum=False,
        min_utility=0.0,
        max_utility=1.0,
        max_moves=1,
        traits=("text", "answer_key"),
        unavailable="" if installed() else f"{MISSING}: {INSTALL}",
    )


def load(name: str, options: Mapping[str, Any]) -> "BfclGame":
    """The game with these options. Raises GameError for options that there are not, or that leave
    no question, and where data and checker are not installed."""
    if not installed():
        raise GameError(MISSING, where="game.name", hint=INSTALL)
    _check_options(name, options)
    checker()
    return _loaded(name, json.dumps(dict(options), sort_keys=True, default=str))


@lru_cache(maxsize=64)  # a game is loaded for every episode that is judged; choosing takes 10 ms
def _loaded(name: str, options: str) -> "BfclGame":
    game = BfclGame(name, json.loads(options))
    categories_of(game.option("category"))
    return game


def _check_options(name: str, options: Mapping[str, Any]) -> None:
    for key, value in options.items():
        if key not in DEFAULTS:
            known = f"its options: {', '.join(DEFAULTS)}"
            raise GameError(f"{name} has no option {key!r}", where="game.options", hint=known)
        if problem := _wrong(key, value):
            raise GameError(f"{key} must be {problem}", where=f"game.options.{key}")


def _wrong(key: str, value: Any) -> str:
    """What the value of an option must be, where it is not; "" where it is."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if key in CHOICES and value not in CHOICES[key]:
        return f"one of {', '.join(CHOICES[key])}"
    if key == "held_out":
        share = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1
        return "" if share else "a share from 0 to below 1"
    if key in ("max_prompt_characters", "tasks") and not (whole and value > 0):
        return "a whole number above 0"
    return "a whole number" if key == "split_seed" and not whole else ""


@dataclass(frozen=True)
class BfclGame(Game):
    """The questions of some categories, on one side of the split."""

    @property
    def info(self) -> GameInfo:
        """One seat, free text."""
        return info(self.name)

    @property
    def num_players(self) -> int:
        """One."""
        return 1

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
            categories_of(self.option("category")),
            self.option("split"),
            held_out=float(self.option("held_out")),
            split_seed=self.option("split_seed"),
            fits=self._fits,
            tasks=self.option("tasks"),
        )

    @property
    def held_out(self) -> "BfclGame | None":
        """The same on the questions kept out of training, all of them; None where none are."""
        if self.option("split") != "train" or not self.option("held_out"):
            return None
        kept = {key: value for key, value in self.options.items() if key != "tasks"}
        return BfclGame(self.name, {**kept, "split": "held_out"})

    @property
    def tasks(self) -> int:
        """How many different matches there are: those of seeds 0 to `tasks` - 1."""
        return len(self.questions)

    def option(self, key: str) -> Any:
        """The option's value, or its default."""
        value = self.options.get(key, DEFAULTS[key])
        return NAMES[self.name] if key == "category" and not value else value

    def _fits(self, question: Question) -> bool:
        longest = self.option("max_prompt_characters")
        return longest is None or len(shown(question, self.option("show"))) <= longest

    def start(self, seed: int) -> "BfclMatch":
        """A match about question number `seed`, modulo how many there are."""
        return BfclMatch(self.questions[seed % self.tasks], self.option("show"))


def messages_of(question: Question, show: str) -> tuple[Message, ...]:
    """A question as messages."""
    if show == "signatures":
        said = "\n\n".join(message["content"] for message in question.said)
        return (Message(role="user", content=f"{signatures(question)}\n\n{said}"),)
    return (*tools_message(question), *question.said)


def shown(question: Question, show: str) -> str:
    """All that is shown of a question, as one text."""
    return "\n\n".join(message["content"] for message in messages_of(question, show))


class BfclMatch(Match):
    """One question and, in the end, the reply to it."""

    def __init__(self, question: Question, show: str) -> None:
        self.question, self.show = question, show
        self.reply: str | None = None
        self.verdict = Verdict(False)

    @property
    def to_act(self) -> tuple[int, ...]:
        """Seat 0 until it has replied."""
        return (0,) if self.reply is None else ()

    def observe(self, seat: int) -> str:
        """The functions, a line each, and what is said."""
        return shown(self.question, "signatures")

    def messages(self, seat: int) -> tuple[Message, ...]:
        """The functions as tools and what is said; with `signatures` all in one message."""
        return messages_of(self.question, self.show)

    def legal_moves(self, seat: int) -> None:
        """Any text is a reply."""

    def play(self, seat: int, move: Move) -> None:
        """Give the reply; the checker judges it."""
        if self.reply is not None:
            raise IllegalMove("the reply has been given", where=FAMILY)
        self.reply = move.text
        self.verdict = judge(self.question, move.text)

    def forfeit(self, seat: int) -> None:
        """An empty reply: it earns nothing, even where no call is wanted."""
        self.reply = ""
        self.verdict = judge(self.question, "")

    def returns(self) -> tuple[float, ...]:
        """1 for a right reply, else 0."""
        return (float(self.verdict.right),)

    def role(self, seat: int) -> str:
        """The question's category."""
        return self.question.category

    def answer(self, seat: int) -> str | None:
        """A right reply by the key."""
        return gold_reply(self.question)

    def render(self) -> str:
        """Functions, question, reply, and what is wrong with it."""
        shown = self.observe(0)
        if self.reply is None:
            return shown
        judged = "right" if self.verdict.right else self.verdict.problem
        return f"{shown}\n\n→ {self.reply}\n\n({judged})"

    def clone(self) -> "BfclMatch":
        """The same question, the same reply."""
        other = BfclMatch(self.question, self.show)
        other.reply, other.verdict = self.reply, self.verdict
        return other
