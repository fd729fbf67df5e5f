"""Runs side by side: which keys differ, the figures of each variant, and what is more than noise.

    comparison = compare([Path("runs/a"), Path("runs/b")])

Runs whose recipes differ in the seed alone are one variant. The first variant is what the others
are held against.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from tesuji.core.errors import DataError
from tesuji.core.statistics import Interval
from tesuji.report.collect import RunSummary, collect, mapping
from tesuji.report.compare.figures import figures_of, higher_is_better
from tesuji.report.compare.noise import Difference, Measured, corrected, difference, mean_over_seeds

ASIDE = ("name", "description", "seed", "report_to")  # what makes no other recipe of one
JUDGES = ("evaluation.", "prompt.", "sampling.")  # sections that say how a model is judged
NAMES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

Keys = dict[str, str]


@dataclass(frozen=True, slots=True)
class OneRun:
    """A run: its summary, its recipe as dotted keys, its figures by name."""

    summary: RunSummary
    keys: Keys
    figures: dict[str, Measured]

    @property
    def seed(self) -> str:
        """As its recipe has it."""
        return self.keys.get("seed", "?")


@dataclass(frozen=True, slots=True)
class Variant:
    """Runs that differ in their seeds alone. `differs` has the keys that tell it from others."""

    name: str
    runs: tuple[OneRun, ...]
    differs: Keys

    @property
    def words(self) -> str:
        """`learning_rate=1e-05`; the runs' names where no key differs."""
        if not self.differs:
            return ", ".join(run.summary.name for run in self.runs)
        short = {key.rpartition(".")[2] for key in self.differs}
        cut = len(short) == len(self.differs)
        return ", ".join(
            f"{key.rpartition('.')[2] if cut else key}={_short(value)}"
            for key, value in self.differs.items()
        )

    @property
    def seeds(self) -> str:
        """`seeds 1, 2, 3`."""
        return f"seed{'s' if len(self.runs) > 1 else ''} {', '.join(r.seed for r in self.runs)}"


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure of a variant: every run's value, their mean, and its 95% interval: over seeds where
    there are several, else by what was played (infinite where that tells nothing)."""

    values: tuple[float, ...]
    mean: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: a cell a variant (None: not measured there), and how each differs from the
    first (None for the first itself, and where there is nothing to compare)."""

    name: str
    better: bool | None
    cells: tuple[Cell | None, ...]
    differences: tuple[Difference | None, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that is shown. `notes` are what to keep in mind."""

    game: str
    variants: tuple[Variant, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def compare(folders: Sequence[Path]) -> Comparison:
    """Read and compare the runs. Raises DataError for what is no run folder, for fewer than two
    runs, and for runs of different games."""
    paths = list(dict.fromkeys(folder.resolve() for folder in folders))
    if len(paths) < 2:
        raise DataError("a comparison needs two runs", hint="tesuji compare RUN RUN")
    given = {folder.resolve(): folder for folder in folders}
    runs = [_read(given[path]) for path in paths]
    game = _game(runs)
    variants = _variants(runs)
    rows = _rows(variants)
    return Comparison(game, variants, rows, tuple(_notes(variants, rows)))


def _short(value: str) -> str:
    """A number of many digits with four of them."""
    try:
        return value if len(value) < 9 else f"{float(value):.4g}"
    except ValueError:
        return value


def _read(folder: Path) -> OneRun:
    summary = collect(folder)
    try:
        recipe = mapping(yaml.safe_load(summary.recipe))
    except yaml.YAMLError:
        recipe = {}
    return OneRun(summary, dict(_flat(recipe)), figures_of(summary))


def _flat(value: Any, above: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and (value or not above):
        for key, inner in value.items():
            yield from _flat(inner, f"{above}.{key}" if above else str(key))
    else:
        yield above, value if isinstance(value, str) else json.dumps(value, default=str)


def _game(runs: Sequence[OneRun]) -> str:
    """What all of them were judged at. Raises DataError where that is not one game."""
    played: dict[str, str] = {}
    for run in runs:
        look = run.summary.after and run.summary.after.evaluation
        name = (
            look.game
            if look
            else run.keys.get("evaluation.game.name")
            or run.keys.get("game.name", run.keys.get("game", "?"))
        )
        played.setdefault(str(name), str(run.summary.path))
    if len(played) > 1:
        words = "; ".join(f"{path} plays {name}" for name, path in played.items())
        raise DataError(f"runs of different games cannot be compared: {words}")
    return next(iter(played))


def _variants(runs: Sequence[OneRun]) -> tuple[Variant, ...]:
    alike: dict[str, list[OneRun]] = {}
    for run in runs:
        kept = {key: v for key, v in run.keys.items() if key.partition(".")[0] not in ASIDE}
        alike.setdefault(json.dumps(kept, sort_keys=True), []).append(run)
    every = list(alike.values())
    known = dict.fromkeys(key for some in every for key in some[0].keys)
    differs = [
        key
        for key in known
        if key.partition(".")[0] not in ASIDE and len({some[0].keys.get(key) for some in every}) > 1
    ]
    names = [*NAMES, *(f"G{number}" for number in range(len(NAMES), len(every)))]
    return tuple(
        Variant(name, tuple(some), {key: some[0].keys.get(key, "not there") for key in differs})
        for name, some in zip(names, every, strict=False)
    )


def _rows(variants: Sequence[Variant]) -> tuple[Row, ...]:
    names = list(
        dict.fromkeys(n for variant in variants for run in variant.runs for n in run.figures)
    )
    last = [name for name in names if "/" not in name and name in ("steps", "minutes")]
    names = [name for name in names if name not in last and not name.endswith("/turns")] + last
    known = {name: [_measured(variant, name) for variant in variants] for name in names}
    tests = {
        (name, place): difference(some[0], some[place])
        for name, some in known.items()
        for place in range(1, len(variants))
        if higher_is_better(name) is not None and some[0] and some[place]
    }
    sure = dict(zip(tests, corrected(list(tests.values())), strict=True))
    return tuple(
        Row(
            name,
            higher_is_better(name),
            tuple(_cell(some) if some else None for some in known[name]),
            tuple(sure.get((name, place)) for place in range(len(variants))),
        )
        for name in names
    )


def _measured(variant: Variant, name: str) -> list[Measured]:
    return [run.figures[name] for run in variant.runs if name in run.figures]


def _cell(some: Sequence[Measured]) -> Cell:
    values = tuple(one.value for one in some)
    interval = mean_over_seeds(values) if len(some) > 1 else some[0].within
    return Cell(values, fmean(values), interval)


def _notes(variants: Sequence[Variant], rows: Sequence[Row]) -> Iterator[str]:
    for variant in variants:
        seeds = [run.seed for run in variant.runs]
        if len(set(seeds)) < len(seeds):
            yield f"{variant.name} has a seed twice: these are not two independent runs"
        for run in variant.runs:
            if run.summary.after is None:
                yield f"{run.summary.path.name} has no evaluation after training"
    judged = [k for k in variants[0].differs if k.startswith(JUDGES) or k.startswith("game.")]
    if judged:
        yield f"not judged alike: {', '.join(judged)}"
    few = min(len(variant.runs) for variant in variants)
    if few == 1:
        yield "one seed says what this model is worth, not what the recipe is: add seeds"
    elif few < 5:
        yield f"{few} seeds are few: an interval over them is wide, and takes them for normal"
    tests = [one for row in rows for one in row.differences if one is not None]
    if len(tests) > 1 and any(one.p is not None for one in tests):
        yield f"each p is after Holm's correction for {sum(t.p is not None for t in tests)} tests"


def finite(bounds: Interval) -> bool:
    """Whether an interval says anything."""
    return math.isfinite(bounds.low) and math.isfinite(bounds.high)
