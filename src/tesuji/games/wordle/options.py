"""The options of Wordle, checked, and the facts that follow from them."""

import importlib.util
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from tesuji.games.base import GameInfo
from tesuji.games.options import Options, read_options
from tesuji.games.wordle.words import LONGEST, SHORTEST

NAME, ALIAS = "wordle", "vf-wordle"
NAMES = (NAME, ALIAS)


class WordleOptions(Options):
    """Which words are hidden, what may be guessed, and how the game is shown."""

    words: Annotated[int, Field(ge=2, le=20_000)] | Annotated[str, Field(min_length=1)] = 2000
    """How many of the most frequent words may be the answer, or a file of words."""
    guesses: int = Field(0, ge=0, le=50_000)
    """How many of the most frequent words may be guessed beside them (0: no others)."""
    length: int = Field(5, ge=SHORTEST, le=LONGEST)
    """Letters of a word."""
    split: Literal["train", "held_out", "all"] = "train"
    """Which answers are drawn."""
    held_out: float = Field(0.1, ge=0, le=1)
    """The share of the answers that is held out."""
    split_seed: int = Field(0, ge=0, le=2**31)
    """Says, with `held_out`, which words these are."""
    max_turns: int = Field(6, ge=1, le=100)
    """Guesses."""
    hard_mode: bool = False
    """Whether every hint must be used."""
    show_candidates: int = Field(0, ge=0, le=20_000)
    """So many of the words that are still possible are listed to the player (0: none)."""
    tags: bool = False
    """Whether replies are written `<guess>[crane]</guess>` and the game words its own messages;
    else a reply is the bare word."""
    thoughts: bool = False
    """Whether, with `tags: true`, a thought in `<think>` tags is asked for first."""

    @field_validator("thoughts")
    @classmethod
    def _with_tags(cls, thoughts: bool, checked: ValidationInfo) -> bool:
        if thoughts and not checked.data.get("tags"):
            raise ValueError("thoughts are asked for together with tags")
        return thoughts

    @classmethod
    def read(cls, name: str, options: Mapping[str, Any]) -> "WordleOptions":
        """The options of a recipe over the defaults of `name`. Raises GameError."""
        defaults = {"tags": True, "thoughts": True} if name == ALIAS else {}
        return read_options(cls, name, {**defaults, **options})


def facts(name: str, settings: WordleOptions) -> GameInfo:
    """What is known about the game without playing it."""
    listed = isinstance(settings.words, str) and not settings.guesses
    there = listed or importlib.util.find_spec("wordfreq") is not None
    return GameInfo(
        name=name,
        title="Wordle" if name == NAME else "Wordle, as vf-wordle",
        family=NAME,
        seats=(1, 1),
        information="imperfect",
        chance=True,
        simultaneous=False,
        zero_sum=False,
        min_utility=-1.0,
        max_utility=1.0,
        max_moves=settings.max_turns,
        metrics=("optimal_moves",),
        unavailable="" if there else "needs the package wordfreq: pip install 'tesuji[wordle]'",
    )
