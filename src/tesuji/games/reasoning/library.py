"""reasoning-gym behind a small face: items by seed, scores, and nothing of it left in the process.

The library imports in seconds and holds everything else; so it is imported when the first match
starts. Some of its tasks draw from Python's or NumPy's global generators (`pool_matrix` seeds
NumPy's): `own_randomness` gives them those of a match and puts back what was there.

Faults of 0.1.25, each shown by a test:
- `game_of_life_halting` scores any answer 1.0, since `bool("False")` is true: here the words are
  compared.
- Many scorers pay 0.01 to 0.05 for any answer, and the common one pays for a right answer among
  wrong ones ("heads tails"): partial scores are paid only where the recipe asks for them.
- `isomorphic_strings`, `ransom_note` and `polynomial_multiplication` make another question of the
  same seed in another process: `_steady` stops that.
- Some scorers raise on answers they did not expect (`prime_factorization`): those are wrong.
"""

import contextlib
import copy
import io
import random
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any

from tesuji.core.errors import GameError
from tesuji.games.options import no_option

INSTALL = 'pip install "tesuji[reasoning]"'
MISSING = "reasoning-gym is not installed"
READS_FILES = ("arc_agi", "codeio", "figlet_font", "group_anagrams", "rush_hour", "word_ladder")
COMPARED = ("game_of_life_halting",)  # tasks whose scorer is not to be asked

_ALONE = threading.RLock()

Item = Mapping[str, Any]  # question, answer (None where there is no key), metadata


@contextlib.contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Python's and NumPy's global generators, seeded for this block and then as they were; one
    thread at a time."""
    import numpy as np

    with _ALONE:
        before, arrays = random.getstate(), np.random.get_state()
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(before)
            np.random.set_state(arrays)


def check_options(task: str, options: Mapping[str, Any]) -> None:
    """Refuse options that the task does not have, or that it refuses. Raises GameError."""
    known = [field.name for field in fields(_classes(task)[1])]
    known = [name for name in known if name not in ("seed", "size")]
    for key in options:
        if key not in known:
            raise no_option(task, key, known)
    _dataset(task, _frozen(options))


def make_item(task: str, options: Mapping[str, Any], seed: int) -> Item:
    """The task's item of this seed; the same one whatever else is drawn in between."""
    with own_randomness(seed), contextlib.redirect_stdout(io.StringIO()):  # `bf` prints dots
        if task in READS_FILES:
            dataset = copy.copy(_dataset(task, _frozen(options)))
            dataset.seed = seed
        else:
            dataset = _dataset_of_seed(task, options, seed)
        with _steady(dataset):
            item: Item = dataset[0]
    return item


class _Ordered(set[str]):
    """A set that is gone through in order, whatever Python's seed for hashes is."""

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(super().__iter__()))

    def __sub__(self, other: Any) -> "_Ordered":
        return _Ordered(super().__sub__(other))


@contextlib.contextmanager
def _steady(dataset: Any) -> Iterator[None]:
    """Three tasks choose from lists made of sets, which differ from process to process: in here
    those sets have an order."""
    if isinstance(getattr(dataset, "letters", None), set):
        dataset.letters = _Ordered(dataset.letters)
    module = sys.modules[type(dataset).__module__]
    unordered = getattr(module, "itermonomials", None)
    if unordered is None:
        yield
        return
    vars(module)["itermonomials"] = lambda *given: sorted(unordered(*given), key=str)
    try:
        yield
    finally:
        vars(module)["itermonomials"] = unordered


def score(task: str, options: Mapping[str, Any], item: Item, answer: str) -> float:
    """What the task's own scorer gives, 0 to 1; 0 for an answer that it cannot read."""
    if task in COMPARED:
        return float(answer.strip().lower() == str(item["answer"]).strip().lower())
    dataset = _dataset(task, _frozen(options))
    try:
        with own_randomness(0), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = float(dataset.score_answer(answer, entry=dict(item)))
    except Exception:  # a scorer may raise anything on an answer that it did not expect
        return 0.0
    return min(1.0, max(0.0, value))


def _classes(task: str) -> tuple[Any, Any]:
    """(data set, its options) as the library registers them."""
    try:
        with own_randomness(0):
            import reasoning_gym  # noqa: F401
            from reasoning_gym.factory import DATASETS
    except ImportError as error:
        raise GameError(f"{MISSING}: {error}", where="game.name", hint=INSTALL) from error
    if task not in DATASETS:
        raise GameError(f"this reasoning-gym has no task {task}", where="game.name", hint=INSTALL)
    classes: tuple[Any, Any] = DATASETS[task]
    return classes


Frozen = tuple[tuple[str, Any], ...]


def _frozen(options: Mapping[str, Any]) -> Frozen:
    """Options that can be looked up by."""
    return tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in sorted(options.items()))


@lru_cache(maxsize=256)
def _dataset(task: str, options: Frozen) -> Any:
    """A data set to score with, and to take copies of where making one reads files for a second."""
    return _dataset_of_seed(task, dict(options), 0)


def _dataset_of_seed(task: str, options: Mapping[str, Any], seed: int) -> Any:
    _classes(task)
    from reasoning_gym.factory import create_dataset

    given = {key: list(v) if isinstance(v, tuple) else v for key, v in options.items()}
    try:
        with own_randomness(seed):
            return create_dataset(task, seed=seed, size=1, **given)
    except Exception as error:  # assertions, value and type errors: each task has its own way
        raise GameError(
            f"{task} refuses its options: {error or type(error).__name__}", where="game.options"
        ) from error
