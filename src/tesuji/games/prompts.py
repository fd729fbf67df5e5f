"""Prompts as a one-turn game: a prompt is shown, a reply is given, and the match is over.

    game = load_game("prompts", {"file": "prompts.jsonl"})

The rules pay nothing: what a reply is worth, reward terms say (`reward_model`, or one of another
package). So classic RLHF takes the same path as every other game. The file holds a row a line with
`prompt`, a text or a list of messages, and where not any text will do `legal_moves`, the replies to
choose from; each match shows the prompt that its seed draws. In a recipe `file` may be left out:
the prompts of the data stage before are taken.

Moves here have no number, since the prompt shows none: their id is -1. Where "raise" is legal, so
is "raise 22.5": a bet's size is the reply's own.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from tesuji.core.errors import DataError, GameError, IllegalMove
from tesuji.core.files import read_jsonl
from tesuji.core.types import Message, Move
from tesuji.games.base import Game, GameInfo, Match

NAME = "prompts"
OPTIONS = ("file", "held_out")
Shown = tuple[Message, ...]
_SIZED = re.compile(r"([a-z-]+) (?:to )?\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class Prompt:
    """Messages, and the moves they allow (None: any text is a reply)."""

    messages: Shown
    legal_moves: tuple[Move, ...] | None = None


def names() -> tuple[str, ...]:
    """The one game of this family."""
    return (NAME,)


def info(name: str) -> GameInfo:
    """Facts about the game, whatever its prompts are."""
    return _INFO


def load(name: str, options: Mapping[str, Any]) -> "PromptsGame":
    """The game with these options; files are read when the first match starts. Raises GameError
    for an option that there is not."""
    for key in options:
        if key not in OPTIONS:
            raise GameError(
                f"{NAME} has no option {key!r}",
                where="game.options",
                hint=f"its options: {', '.join(OPTIONS)}",
            )
    return PromptsGame(NAME, dict(options))


@dataclass(frozen=True)
class PromptsGame(Game):
    """Options: `file`, the prompts, and `held_out`, those that no training sees."""

    @property
    def info(self) -> GameInfo:
        """One seat, free text, no rules."""
        return _INFO

    @property
    def num_players(self) -> int:
        """One."""
        return 1

    @property
    def rules(self) -> str:
        """For people; a model is shown the prompt alone, which says what is wanted."""
        return "A prompt is shown, and one reply is given to it. What it is worth, rewards say."

    @cached_property
    def prompts(self) -> Sequence[Prompt]:
        """The prompts in the file's order. Raises GameError without a file, DataError for a bad
        one."""
        file = self.options.get("file")
        if not file:
            raise GameError(
                "there are no prompts to play",
                where="game.options.file",
                hint="name a JSONL file with `prompt` in every row, or put a data stage in front",
            )
        return _read(str(file))

    @property
    def held_out(self) -> "PromptsGame | None":
        """The same game on the prompts kept out of training, if there are such."""
        file = self.options.get("held_out")
        return PromptsGame(self.name, {"file": file}) if file else None

    def start(self, seed: int) -> "PromptMatch":
        """A match showing one of the prompts, drawn by the seed."""
        return PromptMatch(random.Random(seed).choice(self.prompts))


class PromptMatch(Match):
    """One prompt and, in the end, the reply to it."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        self.reply: str | None = None

    @property
    def to_act(self) -> tuple[int, ...]:
        """Seat 0 until it has replied."""
        return (0,) if self.reply is None else ()

    def observe(self, seat: int) -> str:
        """What was said, the system message left out."""
        return "\n\n".join(m["content"] for m in self.prompt.messages if m["role"] != "system")

    def messages(self, seat: int) -> Shown:
        """The prompt, as it stands in the file."""
        return self.prompt.messages

    def legal_moves(self, seat: int) -> tuple[Move, ...] | None:
        """What the file allows there; None: any text is a reply."""
        return self.prompt.legal_moves

    def read(self, seat: int, said: str) -> Move | None:
        """A listed move with a size of its own, as "raise 22.5"; None for anything else."""
        allowed = {move.text for move in self.prompt.legal_moves or ()}
        sized = _SIZED.fullmatch(said.strip().lower())
        return Move(-1, said.strip()) if sized and sized[1] in allowed else None

    def play(self, seat: int, move: Move) -> None:
        """Give the reply."""
        if self.reply is not None:
            raise IllegalMove("the reply has been given", where=NAME)
        self.reply = move.text

    def forfeit(self, seat: int) -> None:
        """An empty reply."""
        self.reply = ""

    def returns(self) -> tuple[float, ...]:
        """Nothing: reward terms judge the reply."""
        return (0.0,)

    def role(self, seat: int) -> str:
        """None."""
        return ""

    def render(self) -> str:
        """Prompt and reply."""
        return self.observe(0) + ("" if self.reply is None else f"\n\n→ {self.reply}")

    def clone(self) -> "PromptMatch":
        """The same prompt, the same reply."""
        other = PromptMatch(self.prompt)
        other.reply = self.reply
        return other


@cache
def _read(file: str) -> tuple[Prompt, ...]:
    found = tuple(_prompt(row, f"{file}:{number}") for number, row in read_jsonl(Path(file)))
    if not found:
        raise DataError("no prompts in it", where=file, hint="a row a line, with `prompt`")
    return found


def _prompt(row: Any, where: str) -> Prompt:
    value = row.get("prompt") if isinstance(row, dict) else None
    if isinstance(value, str) and value:
        return Prompt((Message(role="user", content=value),), _legal_moves(row, where))
    if isinstance(value, list) and value and all(_is_message(item) for item in value):
        shown = tuple(Message(role=item["role"], content=item["content"]) for item in value)
        return Prompt(shown, _legal_moves(row, where))
    raise DataError("`prompt` must be a text, or a list of messages", where=where)


def _legal_moves(row: dict[str, Any], where: str) -> tuple[Move, ...] | None:
    texts = row.get("legal_moves")
    if texts is None:
        return None
    if not isinstance(texts, list) or not texts or not all(isinstance(t, str) and t for t in texts):
        raise DataError("`legal_moves` must be a list of texts", where=where)
    return tuple(Move(-1, text) for text in dict.fromkeys(texts))


def _is_message(item: Any) -> bool:
    return isinstance(item, dict) and all(isinstance(item.get(k), str) for k in ("role", "content"))


_INFO = GameInfo(
    name=NAME,
    title="Prompts",
    family=NAME,
    seats=(1, 1),
    information="perfect",
    chance=True,
    simultaneous=False,
    zero_sum=False,
    max_moves=1,
    min_utility=0.0,
    max_utility=0.0,
    traits=("text",),
)
