"""A hundred procedural tasks as one-turn games: a question is shown, the answer is scored.

    game = load_game("rg_chain_sum", {"min_terms": 2, "max_terms": 3})

Each task of reasoning-gym is a game, `rg_` and its name; it makes a new question for every seed and
scores answers itself (`library.py` says where it errs). The game pays 1 for an answer that scores
all there is, else 0; with `partial: true` it pays the task's own partial scores of 0.1 and more.

Options: `system`, which of the library's instructions stands in front (`default`, `simple`,
`direct`, `chain_of_draft`, `DeepSeekZero`), or `none`: then the whole reply is the answer, else
what stands in the one `<answer>` tag; `split` (`train`, `held_out`); `partial`; and all options of
the task.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from typing import Any

from tesuji.core.errors import GameError, IllegalMove
from tesuji.core.types import Message, Move
from tesuji.games.base import Game, GameInfo, Match
from tesuji.games.reasoning.library import INSTALL, MISSING, Item, check_options, make_item, score
from tesuji.games.reasoning.names import AREA_OF, PREFIX, UNAVAILABLE

FAMILY = "reasoning_gym"
SPLITS = ("train", "held_out")
SYSTEMS = ("default", "simple", "direct", "chain_of_draft", "DeepSeekZero", "none")
OURS: Mapping[str, tuple[Any, ...]] = {
    "split": SPLITS,
    "system": SYSTEMS,
    "partial": (False, True),
}
LEAST = 0.1  # a smaller partial score is what the scorers pay for anything at all
LONGEST = 2_000  # characters of an answer, unless the right one is longer
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def names() -> tuple[str, ...]:
    """Every task, those that cannot be played among them."""
    return tuple(PREFIX + task for task in sorted([*AREA_OF, *UNAVAILABLE]))


def info(name: str) -> GameInfo:
    """Facts about the game, without importing the library."""
    task = name.removeprefix(PREFIX)
    missing = "" if find_spec("reasoning_gym") else f"{MISSING}: {INSTALL}"
    return GameInfo(
        name=name,
        title=f"{task.replace('_', ' ').capitalize()} ({AREA_OF.get(task, 'mixture')})",
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
        unavailable=UNAVAILABLE.get(task, missing),
    )


def load(name: str, options: Mapping[str, Any]) -> "ReasoningGame":
    """The game with these options. Raises GameError for options that there are not or that the task
    refuses, and for tasks that cannot be played."""
    task = name.removeprefix(PREFIX)
    if reason := info(name).unavailable:
        raise GameError(f"{name} is unavailable: {reason}", where="game.name")
    for key, allowed in OURS.items():
        if key in options and options[key] not in allowed:
            listed = ", ".join(map(str, allowed)).lower()
            raise GameError(f"{key} must be one of {listed}", where=f"game.options.{key}")
    game = ReasoningGame(name, dict(options))
    check_options(task, game.own)
    return game


@dataclass(frozen=True)
class ReasoningGame(Game):
    """One task with its options, on one side of the split of its seeds."""

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
        """For people; a model is shown the instructions and the question."""
        return "A question is shown; the answer to it, given in the form asked for, is scored."

    @cached_property
    def task(self) -> str:
        """The library's name of it."""
        return self.name.removeprefix(PREFIX)

    @cached_property
    def own(self) -> dict[str, Any]:
        """The options of the task itself."""
        return {key: value for key, value in self.options.items() if key not in OURS}

    @property
    def held_out(self) -> "ReasoningGame | None":
        """The same task with other seeds; where it has few questions, some are the same."""
        if self.options.get("split", "train") != "train":
            return None
        return replace(self, options={**self.options, "split": "held_out"})

    def start(self, seed: int) -> "ReasoningMatch":
        """A match about the question of this seed: even seeds of the library are for training, odd
        ones are held out."""
        odd = self.options.get("split", "train") == "held_out"
        item = make_item(self.task, self.own, seed % 2**30 * 2 + odd)
        return ReasoningMatch(self, item)


class ReasoningMatch(Match):
    """One question and, in the end, the reply to it."""

    def __init__(self, game: ReasoningGame, item: Item) -> None:
        self.game, self.item = game, item
        self.reply: str | None = None
        self.earned, self.problem = 0.0, ""

    @property
    def to_act(self) -> tuple[int, ...]:
        """Seat 0 until it has replied."""
        return (0,) if self.reply is None else ()

    def observe(self, seat: int) -> str:
        """The question."""
        return str(self.item["question"])

    def messages(self, seat: int) -> tuple[Message, ...]:
        """The library's instructions, and the question."""
        asked = Message(role="user", content=self.observe(seat))
        system = self._system
        if system == "none":
            return (asked,)
        from reasoning_gym.utils import SYSTEM_PROMPTS

        return (Message(role="system", content=SYSTEM_PROMPTS[system].strip()), asked)

    @property
    def _system(self) -> str:
        return str(self.game.options.get("system", "default"))

    def legal_moves(self, seat: int) -> None:
        """Any text is a reply."""

    def play(self, seat: int, move: Move) -> None:
        """Give the reply; the task scores the answer in it."""
        if self.reply is not None:
            raise IllegalMove("the reply has been given", where=FAMILY)
        self.reply = move.text
        self.earned, self.problem = self._worth(move.text)

    def _worth(self, reply: str) -> tuple[float, str]:
        """(what the reply earns, why no more)."""
        answer, problem = self._answer_in(reply)
        if not problem:
            problem = self._trick(answer)
        if problem:
            return 0.0, problem
        value = score(self.game.task, self.game.own, self.item, answer)
        if value >= 1.0:
            return 1.0, ""
        pays = self.game.options.get("partial", False) and value >= LEAST
        return (value if pays else 0.0), f"scored {value:.3g} of 1"

    def _answer_in(self, reply: str) -> tuple[str, str]:
        if self._system == "none":
            return reply.strip(), ""
        found = _ANSWER.findall(reply)
        if len(found) != 1 or reply.count("<answer>") != 1:
            return "", f"{len(found)} answers in tags, not one"
        return found[0].strip(), ""

    def _trick(self, answer: str) -> str:
        """What is wrong with an answer before it is scored; "" for nothing."""
        if not answer:
            return "the answer is empty"
        if len(answer) > max(LONGEST, 2 * len(str(self.item["answer"] or ""))):
            return f"the answer is longer than {LONGEST:,} characters"
        question, plain = (" ".join(text.split()) for text in (self.observe(0), answer))
        return "the answer repeats the question" if question in plain else ""

    def forfeit(self, seat: int) -> None:
        """An empty reply."""
        self.reply, self.problem = "", "the reply is empty"

    def returns(self) -> tuple[float, ...]:
        """What the reply earns, 0 to 1."""
        return (self.earned,)

    def role(self, seat: int) -> str:
        """The task's name."""
        return self.game.task

    def answer(self, seat: int) -> str | None:
        """The task's own answer in the form asked for; None where it gives none."""
        if self.item["answer"] is None:
            return None
        text = str(self.item["answer"])
        return text if self._system == "none" else f"<answer>{text}</answer>"

    def render(self) -> str:
        """Question, reply, and what it earned."""
        if self.reply is None:
            return self.observe(0)
        return (
            f"{self.observe(0)}\n\n→ {self.reply}\n\n({self.earned:g}: {self.problem or 'right'})"
        )

    def clone(self) -> "ReasoningMatch":
        """The same question, the same reply."""
        other = ReasoningMatch(self.game, self.item)
        other.reply, other.earned, other.problem = self.reply, self.earned, self.problem
        return other
