"""The error vocabulary: one tree, one message a person can act on.

    TesujiError
    ├── RecipeError     the recipe (or a command's argument) is wrong
    ├── GameError       a game is unknown, unavailable, or asked for the impossible
    │   └── IllegalMove a move that the rules do not allow here
    ├── DataError       a file, row or folder could not be read or written
    ├── EngineError     a model, player, endpoint or trainer failed
    │   └── EndpointError an endpoint that nobody can or may ask any more: the run stops
    └── ComputeError    the machine (local or rented) could not do it

A message says *what* was wrong, *where* (file:line, or the key in the recipe) and *what to do*.
The CLI prints that one message and exits with 2; any other exception is a bug and keeps its
traceback.
"""

import contextlib
import difflib
from collections.abc import Iterable, Iterator


class TesujiError(Exception):
    """Base of all errors that are the user's to mend.

    `where` names a place (``"recipes/a.yaml:12"``, ``"stages.sft.epochs"``), `hint` what to do.
    """

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f"\n  → {self.hint}" if self.hint else ""
        return f"{place}{self.what}{advice}"


class RecipeError(TesujiError):
    """The recipe, an override or a command-line value is wrong."""


class GameError(TesujiError):
    """A game is unknown, unavailable here, or asked for something it cannot do."""


class IllegalMove(GameError):
    """A move the rules do not allow in this position."""


class DataError(TesujiError):
    """A file, row or folder cannot be read, parsed or written."""


class EngineError(TesujiError):
    """A model, player, endpoint or trainer failed."""


class EndpointError(EngineError):
    """An endpoint refuses the key, is gone, or has used up its budget. It stops the run, where one
    question without an answer ends one match."""


class ComputeError(TesujiError):
    """The machine cannot do what was asked of it."""


@contextlib.contextmanager
def placed(at: str) -> Iterator[None]:
    """An error from inside names the key `at` as its place; one that ends in a dot stands in front
    of the place it names itself. A DataError keeps its own: a file and a line."""
    try:
        yield
    except (RecipeError, GameError, EngineError) as error:
        error.where = at + error.where if at.endswith(".") else at
        raise


def first_line(error: BaseException) -> str:
    """The first line of what an error says; of one that says nothing, its type."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """The beginning of a hint: "did you mean minimax? " where `word` is nearly a known one."""
    near = nearly(str(word), known)
    return f"did you mean {near[0]}? " if near else ""


def nearly(word: str, known: Iterable[str], most: int = 1) -> list[str]:
    """At `most` so many known words of which this is a whole part (`tiny` of `tictactoe/tiny`);
    else the one most like it; else those that hold it. Whatever the case."""
    plain = {name.casefold(): name for name in known}
    if whole := [name for key, name in plain.items() if word.casefold() in key.split("/")]:
        return whole[:most]
    if near := difflib.get_close_matches(word.casefold(), list(plain), n=1):
        return [plain[near[0]]]
    inside = [name for name in plain.values() if word.casefold() in name.casefold()]
    return inside[:most] if len(word) > 2 else []
