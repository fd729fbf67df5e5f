"""What other packages add through entry points: games, players and reward terms.

    PLAYERS = Plugins("tesuji.players", "player", RecipeError)
    PLAYERS.get("mine", ours=BUILT_IN, where="player")  # ours by its short name, or an EntryPoint

A package declares `[project.entry-points."tesuji.players"]`: a name, and what makes the player. A
name that several have (ours and a package's, or two packages') stands for none of them: each is
asked for by its whole name, `package:name`, ours as `tesuji:name`.
"""

import sys
import traceback
from collections.abc import Collection, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from tesuji.core.errors import EngineError, TesujiError, did_you_mean

OURS = "tesuji"


@dataclass(frozen=True, slots=True)
class Plugins:
    """One group of entry points. `noun` is what its messages call a member, `error` their kind."""

    group: str
    noun: str
    error: type[TesujiError]

    def entries(self) -> tuple[EntryPoint, ...]:
        """What the installed packages declare."""
        return _declared(self.group, tuple(sys.path))

    def find(self, name: str, ours: Container[str], where: str) -> EntryPoint | str | None:
        """The short name of one of ours, or another package's entry point, or None.

        Raises `error` for a short name that several have.
        """
        candidates = [point for point in self.entries() if name in (point.name, whole_name(point))]
        if name in ours:
            names = [f"{OURS}:{name}", *map(whole_name, candidates)]
        else:
            names = [whole_name(point) for point in candidates]
        if len(names) > 1:
            raise self.error(
                f"{len(names)} packages have a {self.noun} {name!r}",
                where=where,
                hint=f"name one of them: {', '.join(names)}",
            )
        package, _, short = name.partition(":")
        if name in ours or (package == OURS and short in ours):
            return short or name
        return candidates[0] if candidates else None

    def get(self, name: str, ours: Collection[str], where: str) -> EntryPoint | str:
        """As `find`; raises `error` for a name that nobody has, too."""
        source = self.find(name, ours, where)
        if source is None:
            known = self.names(ours)
            raise self.error(
                f"there is no {self.noun} {name!r}",
                where=where,
                hint=f"{did_you_mean(name, known)}known: {', '.join(known)}",
            )
        return source

    def names(self, ours: Collection[str]) -> tuple[str, ...]:
        """The shortest name of each, ours first."""
        short = [*ours, *(point.name for point in self.entries())]
        own = [f"{OURS}:{name}" if short.count(name) > 1 else name for name in ours]
        return (*own, *(self.name_of(point, ours) for point in self.entries()))

    def name_of(self, point: EntryPoint, ours: Container[str]) -> str:
        """What to ask for: the entry point's name, the whole one where the name is taken."""
        alone = sum(other.name == point.name for other in self.entries()) == 1
        return point.name if alone and point.name not in ours else whole_name(point)

    def load(self, point: EntryPoint, where: str) -> Any:
        """What the entry point names. Raises `error`, whatever its package raises."""
        try:
            return point.load()
        except Exception as error:  # somebody else's package: whatever it raises is their fault
            raise self.error(
                f"the {self.noun} {point.name!r} of {point.value} does not load: {error}",
                where=where,
            ) from error


@contextmanager
def blaming(what: str, where: str) -> Iterator[None]:
    """Inside, another package's code runs: whatever it raises becomes an EngineError that names it
    and the line at fault."""
    try:
        yield
    except TesujiError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise EngineError(
            f"{what} failed: {type(error).__name__}: {error}",
            where=where,
            hint=f"mend it at {last.filename}:{last.lineno}, or leave it out",
        ) from error


def package_of(point: EntryPoint) -> str:
    """The package that brings it."""
    return point.dist.name if point.dist else point.module.partition(".")[0]


def whole_name(point: EntryPoint) -> str:
    """`package:name`, which no two packages share."""
    return f"{package_of(point)}:{point.name}"


@lru_cache(maxsize=64)  # to look takes 40 ms, and games are loaded for every match that is judged
def _declared(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=group))
