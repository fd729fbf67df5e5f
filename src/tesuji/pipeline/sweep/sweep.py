"""A sweep: many runs of one recipe, into one folder, one run folder each.

    sweep = plan_sweep(load, ["seed=1,2,3"], Path("runs"))
    failed = sweep.run(parallel=1)

Started again, with the same words or with more values, it goes on: a run whose steps are all done
is not begun again, and one that was killed goes on from its checkpoint.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tesuji.core.errors import RecipeError
from tesuji.core.progress import SILENT, Progress
from tesuji.core.run_folder import RunFolder
from tesuji.pipeline.sweep.axes import Axis, Range, axes_of
from tesuji.pipeline.sweep.grid import Grid
from tesuji.pipeline.sweep.planned import (
    Load,
    Planned,
    combinations,
    names_of,
    one_at_a_time,
    plan_one,
    planned,
)
from tesuji.pipeline.sweep.processes import Start, run_all, run_here
from tesuji.pipeline.sweep.search import Aim, Search, optuna

MOST = 100  # runs of a grid, unless more are asked for


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is to be done. `runs` are those of a grid; of a search, those that show that
    the recipe takes every value and both ends of every range. `same` are overrides that all runs
    share."""

    folder: Path
    runs: list[Planned]
    same: list[str]
    axes: list[Axis]
    ranges: list[Range]
    load: Load
    metric: str
    aim: Aim | None = None

    @property
    def count(self) -> int:
        """How many runs there are, with those that are done."""
        return self.aim.trials if self.aim else len(self.runs)

    def run(
        self, *, parallel: int = 1, start: Start | None = None, progress: Progress = SILENT
    ) -> "Grid | Search":
        """Do what is left, at most so many runs at a time, each begun by `start` (default: as a
        process here). Its `failed` are the names of the runs that failed. Raises TesujiErrors, such
        as DataError where another process is at work in the folder."""
        with RunFolder(self.folder).locked():
            left = sum(run.left > 0 for run in self.runs)
            progress.begin(self.folder.name, self.aim.trials if self.aim else left)
            work = self._search() if self.aim else Grid(self.runs, self.folder, self.metric)
            run_all(work, parallel, start or run_here(self.folder, parallel), progress)
        return work

    def _search(self) -> Search:
        assert self.aim is not None

        def plan(name: str, values: dict[str, str]) -> Planned:
            return plan_one(self.load, name, values, self.same, self.folder)

        return Search(self.folder, self.axes, self.ranges, self.aim, plan)


def plan_sweep(
    load: Load,
    words: Sequence[str],
    root: Path,
    *,
    metric: str = "",
    trials: int = 0,
    maximize: bool = True,
    most: int = MOST,
    progress: Progress = SILENT,
) -> Sweep:
    """The sweep that `key=value,value` words say, in `root`/NAME-sweep (`name=NAME` gives another).

    `load` makes the recipe with overrides. With `trials` Optuna draws values, to raise `metric`, or
    to lower it. Raises TesujiErrors before anything is begun.
    """
    name = [word.partition("=")[2] for word in words if word.startswith("name=")]
    words = [word for word in words if not word.startswith("name=")]
    plain = load([f"name={name[0]}"] if name else [])
    folder = root / (plain.name if name else f"{plain.name}-sweep")
    axes, ranges = axes_of(words, plain)
    same = [f"{axis.key}={axis.values[0]}" for axis in axes if len(axis.values) == 1]
    axes = [axis for axis in axes if len(axis.values) > 1]
    if bool(trials) != bool(ranges):
        _refuse_ranges(trials, ranges)
    if trials:
        optuna()
        every = one_at_a_time([*axes, *(Axis(one.key, one.ends) for one in ranges)])
        aim = Aim(metric, maximize, trials, plain.seed)
    else:
        every, aim = combinations(axes, most), None
    runs = planned(load, list(zip(names_of(every), every, strict=True)), same, folder, progress)
    return Sweep(folder, runs, same, axes, ranges, load, metric, aim)


def _refuse_ranges(trials: int, ranges: Sequence[Range]) -> None:
    if trials:
        raise RecipeError(
            "a search needs a range to draw from",
            where="command line",
            hint="such as learning_rate=1e-6:1e-3:log, or leave out --trials",
        )
    raise RecipeError(
        f"{ranges[0].key} has a range, and ranges are for a search",
        where="command line",
        hint="add --trials N --metric NAME, or write single values with commas",
    )
