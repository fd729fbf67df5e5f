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

from tesuji.core.errors import DataError, GameError
from tesuji.core.files import read_jsonl
from tesuji.core.types import Message, Move, is_message
from tesuji.games.base import GameInfo
from tesuji.games.one_turn import OneTurnGame, OneTurnMatch, one_turn_info
from tesuji.games.options import Options, read_options

NAME = "prompts"


class PromptsOptions(Options):
    """Which prompts are played."""

    file: str = ""
    """A JSONL file with `prompt` in every row; in a recipe the data stage before gives one."""
    held_out: str = ""
    """The same with prompts that no training sees."""


_SIZED = re.compile(r"([a-z-]+) (?:to )?\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class Prompt:
    """Messages, and the moves they allow (None: any text is a reply)."""

    messages: tuple[Message, ...]
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
    read_options(PromptsOptions, NAME, options)
    return PromptsGame(NAME, dict(options))


@dataclass(frozen=True)
class PromptsGame(OneTurnGame):
    """See `PromptsOptions` for the options."""

    @property
    def info(self) -> GameInfo:
        """One seat, free text, no rules."""
        return _INFO

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


class PromptMatch(OneTurnMatch):
    """One prompt and, in the end, the reply to it."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt

    def observe(self, seat: int) -> str:
        """What was said, the system message left out."""
        return "\n\n".join(m["content"] for m in self.prompt.messages if m["role"] != "system")

    def messages(self, seat: int) -> tuple[Message, ...]:
        """The prompt, as it stands in the file."""
        return self.prompt.messages

    def legal_moves(self, seat: int) -> tuple[Move, ...] | None:
        """What the file allows there; None: any text is a reply."""
        return self.prompt.legal_moves

    def read(self, seat: int, reply: str) -> Move | None:
        """A listed move with a size of its own, as "raise 22.5"; None for anything else."""
        allowed = {move.text for move in self.prompt.legal_moves or ()}
        sized = _SIZED.fullmatch(reply.strip().lower())
        return Move(-1, reply.strip()) if sized and sized[1] in allowed else None

    def judge(self, reply: str) -> tuple[float, str]:
        """Nothing: reward terms judge the reply."""
        return 0.0, ""


@cache
def _read(file: str) -> tuple[Prompt, ...]:
    prompts = tuple(_prompt(row, f"{file}:{number}") for number, row in read_jsonl(Path(file)))
    if not prompts:
        raise DataError("no prompts in it", where=file, hint="a row a line, with `prompt`")
    return prompts


def _prompt(row: Any, where: str) -> Prompt:
    value = row.get("prompt") if isinstance(row, dict) else None
    if isinstance(value, str) and value:
        return Prompt((Message(role="user", content=value),), _legal_moves(row, where))
    if isinstance(value, list) and value and all(is_message(item) for item in value):
        messages = tuple(Message(role=item["role"], content=item["content"]) for item in value)
        return Prompt(messages, _legal_moves(row, where))
    raise DataError("`prompt` must be a text, or a list of messages", where=where)


def _legal_moves(row: dict[str, Any], where: str) -> tuple[Move, ...] | None:
    texts = row.get("legal_moves")
    if texts is None:
        return None
    if not isinstance(texts, list) or not texts or not all(isinstance(t, str) and t for t in texts):
        raise DataError("`legal_moves` must be a list of texts", where=where)
    return tuple(Move(-1, text) for text in dict.fromkeys(texts))


_INFO = one_turn_info(NAME, "Prompts", NAME, best=0.0, key=False)
