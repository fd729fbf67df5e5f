"""A random stream of its own for every TextArena match.

TextArena draws from Python's global generator, and seeds it when it is given a seed: matches played
in turns would change each other, and everybody else who draws from it. `isolate` puts a stand-in
for the module `random` into every module of the library. While a match is at work (`drawing`) the
stand-in draws from that match's own generator; else it is the module itself, so that others who use
the library in the same process notice nothing. Swapping the global state in and out would do as
well and costs sixty times as much (two states of 625 numbers a call).
"""

import random
import sys
import threading
from typing import Any


class _Current(threading.local):
    """The generator of the match at work in this thread, if one is."""

    rng: random.Random | None = None


_CURRENT = _Current()


class _Random:
    """What library modules see as `random`."""

    def __getattr__(self, name: str) -> Any:
        rng = _CURRENT.rng
        if rng is None:
            return getattr(random, name)
        if name == "Random":
            return lambda seed=None: random.Random(rng.getrandbits(64) if seed is None else seed)
        own = getattr(rng, name, None)
        return getattr(random, name) if own is None else own


class _NumpyRandom:
    """What library modules see as `numpy.random`."""

    def __getattr__(self, name: str) -> Any:
        import numpy as np

        rng = _CURRENT.rng
        if rng is None:
            return getattr(np.random, name)
        if name == "default_rng":
            return lambda seed=None: np.random.default_rng(
                rng.getrandbits(64) if seed is None else seed
            )
        stream = np.random.RandomState(rng.getrandbits(32))
        return getattr(stream, name, None) or getattr(np.random, name)


class _Numpy:
    """What library modules see as `numpy`."""

    random = _NumpyRandom()

    def __getattr__(self, name: str) -> Any:
        import numpy as np

        return getattr(np, name)


_RANDOM, _NUMPY = _Random(), _Numpy()
_DONE: set[str] = set()


def _quiet(*_: object, **__: object) -> None:
    """Prints nothing."""


def isolate() -> None:
    """Put the stand-ins into every module of the library that has been imported by now, and keep
    them from printing to the terminal."""
    numpy = sys.modules.get("numpy")
    for name in [one for one in sys.modules if one.startswith("textarena")]:
        module = sys.modules[name]
        if name in _DONE or not hasattr(module, "__dict__"):
            continue
        _DONE.add(name)
        vars(module).setdefault("print", _quiet)  # some say what they are doing
        for key, value in list(vars(module).items()):
            if value is random:
                setattr(module, key, _RANDOM)
            elif numpy is not None and value is numpy:
                setattr(module, key, _NUMPY)


class drawing:  # noqa: N801  (used as a function; a class because it stands around every step)
    """`with drawing(rng):` lets the library draw from `rng`, in this thread."""

    __slots__ = ("before", "rng")

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def __enter__(self) -> None:
        self.before, _CURRENT.rng = _CURRENT.rng, self.rng

    def __exit__(self, *_: object) -> None:
        _CURRENT.rng = self.before
