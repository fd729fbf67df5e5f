"""TextArena itself: importing it without its side effects, and making environments.

Some of its modules call `nltk.download` when they are imported, others whenever an environment is
made. Here nothing goes to the network: what is missing is said in an error.
"""

import importlib
import inspect
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from tesuji.core.errors import GameError
from tesuji.games.textarena.known_faults import mend_night_kills
from tesuji.games.textarena.seeding import isolate

_LOCK = threading.RLock()


@dataclass(frozen=True)
class Library:
    """One environment of the registry: its class, its own arguments, its wrappers.

    `shows`: the library's observation wrapper, if it has another one than the plain transcript,
    which the adapter writes itself, word for word the same but in linear time. `acts`: wrappers
    that change a reply (brackets put around it, a long one clipped).
    """

    name: str
    entry: Any
    kind: type[Any]
    arguments: Mapping[str, Any]
    shows: type[Any] | None
    acts: tuple[type[Any], ...]

    @property
    def options(self) -> tuple[str, ...]:
        """What the environment's class takes."""
        return tuple(inspect.signature(self.kind).parameters)

    def make(self, options: Mapping[str, Any], *, shows: bool) -> Any:
        """A new environment in its wrappers, as the library's `make` builds it."""
        env = self.kind(**{**self.arguments, **options})
        env.env_id, env.entry_point = self.name, self.entry
        for wrapper in ((self.shows,) if shows and self.shows else ()) + self.acts:
            env = wrapper(env)
        return env


@cache
def library(name: str, *, mended: bool = False) -> Library:
    """The environment's entry. Raises GameError, with the reason, where it cannot be imported."""
    with making():
        try:
            spec = registry()[name]
            module, _, attribute = spec.entry_point.partition(":")
            kind = getattr(importlib.import_module(module), attribute)
        except Exception as error:  # the library's own code: whatever it raises is its fault
            message = " ".join(str(error).replace("*", " ").split())[:160]
            raise GameError(
                f"{name} is unavailable: {type(error).__name__}: {message}",
                where="game.name",
                hint="see `tesuji games` for those that can be played",
            ) from error
        isolate()
    return _entry(name, spec, mend_night_kills(kind) if mended else kind)


def registry() -> Mapping[str, Any]:
    """The library's own registry. Raises GameError where it is not installed."""
    with making():
        try:
            registration = importlib.import_module("textarena.envs.registration")
        except ImportError as error:
            raise GameError(
                f"TextArena cannot be imported: {error}",
                where="game.name",
                hint="pip install 'tesuji[textarena]'",
            ) from error
        isolate()
    return registration.ENV_REGISTRY  # type: ignore[no-any-return]


def _entry(name: str, spec: Any, kind: type[Any]) -> Library:
    core = importlib.import_module("textarena.core")
    plain = importlib.import_module("textarena.wrappers").LLMObservationWrapper
    wrappers = tuple(spec.default_wrappers or ())
    acts = tuple(one for one in wrappers if issubclass(one, core.ActionWrapper))
    shows = [one for one in wrappers if one not in acts and one is not plain]
    return Library(name, spec.entry_point, kind, spec.kwargs, shows[0] if shows else None, acts)


@contextmanager
def making() -> Iterator[None]:
    """While the library is imported or an environment made: NLTK downloads nothing."""
    try:
        import nltk
    except ImportError:  # then no module of the library that needs it can be imported either
        yield
        return
    with _LOCK:
        download = nltk.download
        nltk.download = lambda *_, **__: False
        try:
            yield
        finally:
            nltk.download = download
