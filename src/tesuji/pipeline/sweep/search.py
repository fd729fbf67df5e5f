"""A sweep that Optuna leads: values drawn from ranges, where earlier runs came out well.

The study lies in the sweep's folder. What is asked follows from the recipe's seed and the trials so
far: a sweep that was killed goes on with the trials that it had begun.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tesuji.core.errors import DataError, EngineError, TesujiError
from tesuji.core.seeds import stream
from tesuji.pipeline.sweep.axes import Axis, Range
from tesuji.pipeline.sweep.grid import failure
from tesuji.pipeline.sweep.planned import Planned, Values, in_one_name, short_keys
from tesuji.report.compare.figures import figure_of

STUDY = "study.sqlite3"


@dataclass(frozen=True, slots=True)
class Aim:
    """What a search is for: `metric`, the higher the better where `maximize`, in so many trials."""

    metric: str
    maximize: bool
    trials: int
    seed: int

    @property
    def direction(self) -> str:
        """As Optuna says it."""
        return "maximize" if self.maximize else "minimize"


class Search:
    """Asks Optuna for runs, and tells it what came of them."""

    def __init__(
        self,
        folder: Path,
        axes: Sequence[Axis],
        ranges: Sequence[Range],
        aim: Aim,
        plan: Callable[[str, Values], Planned],
    ) -> None:
        self._optuna = optuna()
        self._folder, self._axes, self._ranges = folder, axes, ranges
        self._aim, self._plan = aim, plan
        self._study = self._opened()
        running = [self._optuna.trial.TrialState.RUNNING]
        self._begun = [trial.number for trial in self._study.get_trials(states=running)]
        self._numbers: dict[str, int] = {}
        self.failed: list[str] = []

    def _opened(self) -> Any:
        """The study of this folder. Raises DataError where it is one of other keys."""
        self._folder.mkdir(parents=True, exist_ok=True)
        study = self._optuna.create_study(
            storage=f"sqlite:///{self._folder.absolute() / STUDY}",
            study_name=self._folder.name,
            load_if_exists=True,
            direction=self._aim.direction,
        )
        asked = [self._aim.metric, *(repr(one) for one in (*self._axes, *self._ranges))]
        known = study.user_attrs.get("asked")
        if known not in (None, asked) or study.direction.name.lower() != self._aim.direction:
            raise DataError(
                "the search in this folder has other keys, ranges or another metric",
                where=str(self._folder / STUDY),
                hint="the same words go on with it; name=... begins another",
            )
        if known is None:
            study.set_user_attr("asked", asked)
        return study

    def next(self) -> Planned | None:
        """A trial that was begun and never ended; else a new one, as long as there are any."""
        if self._begun:
            return self._run(self._begun.pop(0))
        asked = len(self._study.get_trials(deepcopy=False))
        if asked >= self._aim.trials:
            return None
        self._study.sampler = self._optuna.samplers.TPESampler(
            seed=stream("sweep", self._aim.seed, asked) % 2**32
        )
        return self._run(self._study.ask(self._space()).number)

    def _space(self) -> dict[str, Any]:
        made = self._optuna.distributions
        space: dict[str, Any] = {}
        for axis in self._axes:
            space[axis.key] = made.CategoricalDistribution(axis.values)
        for one in self._ranges:
            kind = made.IntDistribution if one.whole else made.FloatDistribution
            low, high = (int(end) if one.whole else end for end in (one.low, one.high))
            space[one.key] = kind(low, high, log=one.log)
        return space

    def _run(self, number: int) -> Planned:
        values = self.values_of(self._study.trials[number].params)
        run = self._plan(trial_name(number, values), values)
        self._numbers[run.name] = number
        return run

    def values_of(self, params: dict[str, Any]) -> Values:
        """A trial's values, as overrides have them."""
        ranges = {one.key: one for one in self._ranges}
        return {
            key: ranges[key].written(value) if key in ranges else str(value)
            for key, value in params.items()
        }

    def ended(self, run: Planned, code: int) -> str:
        """Tell Optuna the metric, or that the run failed; what came of it, in words. Raises
        DataError where the first run that ended has no such metric: no other would."""
        number, failed = self._numbers[run.name], self._optuna.trial.TrialState.FAIL
        if code:
            self._study.tell(number, state=failed)
            self.failed.append(run.name)
            return failure(self._folder, run, code)
        try:
            value = figure_of(self._folder / run.name, self._aim.metric)
        except TesujiError:
            if not self._told():
                raise
            self._study.tell(number, state=failed)
            return f"done, without {self._aim.metric}"
        self._study.tell(number, value)
        best = self._study.best_trial.number == number
        return f"{self._aim.metric} {value:.4g}{', the best so far' if best else ''}"

    def _told(self) -> list[Any]:
        return list(self._study.get_trials(states=[self._optuna.trial.TrialState.COMPLETE]))

    def ranked(self) -> list[tuple[str, float, Values]]:
        """Of every trial with a value the run's name, the value and what was set, best first."""
        trials = sorted(self._told(), key=lambda one: one.value, reverse=self._aim.maximize)
        rows = [(one.number, one.value, self.values_of(one.params)) for one in trials]
        return [(trial_name(number, values), value, values) for number, value, values in rows]


def trial_name(number: int, values: Values) -> str:
    """`trial-007--learning_rate-0.00032`."""
    words = dict(zip(values, short_keys(list(values)), strict=True))
    return in_one_name(
        {"trial": f"{number:03d}", **{words[key]: _short(value) for key, value in values.items()}}
    )


def _short(value: str) -> str:
    try:
        return value if value.lstrip("+-").isdecimal() else f"{float(value):.3g}"
    except ValueError:
        return value


def optuna() -> Any:
    """The library, quiet. Raises EngineError where it is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise EngineError(
            "Optuna is not installed", where="--trials", hint="pip install 'tesuji[optuna]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
