"""The options of Wordle, checked, and the facts that follow from them."""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from tesuji.core.errors import GameError
from tesuji.games.base import GameInfo
from tesuji.games.wordle.words import LONGEST, SHORTEST

NAME, ALIAS = "wordle", "vf-wordle"
NAMES = (NAME, ALIAS)
SPLITS = ("train", "held_out", "all")


@dataclass(frozen=True, slots=True)
class WordleOptions:
    """`words`: how many of the most frequent words may be the answer, or a file of words.
    `guesses`: how many of the most frequent may be guessed beside them (0: no others). `length`:
    letters. `split`: which answers are drawn, `train`, `held_out` or `all`; `held_out` is the share
    that is held out, and with `split_seed` says which words these are. `max_turns`: guesses.
    `hard_mode`: every hint must be used. `show_candidates`: so many of the words that are still
    possible are listed to the player (0: none). `tags`: replies are written
    `<guess>[crane]</guess>` and the game words its own messages; else the bare word. `thoughts`:
    with `tags`, a thought in `<think>` tags is asked for first.
    """

    words: int | str = 2000
    guesses: int = 0
    length: int = 5
    split: str = "train"
    held_out: float = 0.1
    split_seed: int = 0
    max_turns: int = 6
    hard_mode: bool = False
    show_candidates: int = 0
    tags: bool = False
    thoughts: bool = False

    @classmethod
    def read(cls, name: str, options: Mapping[str, Any]) -> "WordleOptions":
        """The options of a recipe over the defaults of `name`. Raises GameError."""
        known = [option.name for option in fields(cls)]
        for key, value in options.items():
            if key not in known:
                raise _refused(key, f"{name} has no such option", f"there are: {', '.join(known)}")
            fits, wanted = _RULES[key]
            if not fits(value):
                raise _refused(key, f"{value!r} does not fit", f"{key} must be {wanted}")
        defaults = {"tags": True, "thoughts": True} if name == ALIAS else {}
        found = cls(**{**defaults, **options})
        if found.thoughts and not found.tags:
            raise _refused("thoughts", "thoughts are asked for together with tags", "tags: true")
        return found


def _whole(low: int, high: int) -> tuple[Callable[[Any], bool], str]:
    def fits(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return fits, f"a whole number from {low:,} to {high:,}"


def _words(value: Any) -> bool:
    return (isinstance(value, str) and bool(value)) or _whole(2, 20_000)[0](value)


def _share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _yes(value: Any) -> bool:
    return isinstance(value, bool)


_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "words": (_words, "a whole number from 2 to 20,000, or a file"),
    "guesses": _whole(0, 50_000),
    "length": _whole(SHORTEST, LONGEST),
    "split": (lambda value: value in SPLITS, " or ".join(SPLITS)),
    "held_out": (_share, "a share from 0 to 1"),
    "split_seed": _whole(0, 2**31),
    "max_turns": _whole(1, 100),
    "hard_mode": (_yes, "true or false"),
    "show_candidates": _whole(0, 20_000),
    "tags": (_yes, "true or false"),
    "thoughts": (_yes, "true or false"),
}


def _refused(key: str, what: str, hint: str) -> GameError:
    return GameError(what, where=f"game.options.{key}", hint=hint)


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
