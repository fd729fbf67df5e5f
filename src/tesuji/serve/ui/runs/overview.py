"""What the list of runs says of each: read once, and again when its manifest or its state has
changed."""

import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tesuji.core.errors import DataError
from tesuji.core.redact import safe_all
from tesuji.core.run_folder import at_work
from tesuji.evaluation.results import Evaluation, load_evaluation
from tesuji.pipeline.forecast.how_far import HowFar, Pace, how_far, pace
from tesuji.report.headline import Headline, headline
from tesuji.serve.ui.house import House

SENSELESS = (ArithmeticError, LookupError, TypeError, ValueError)  # of figures in others' files


@dataclass(frozen=True, slots=True)
class Overview:
    """One run of the list; `changed` is when its manifest or its metric log last was, in seconds
    since 1970. Texts are safe to show."""

    name: str
    far: HowFar
    game: str
    model: str
    headline: Headline | None
    changed: float
    pace: Pace | None = None

    def has(self, wanted: str) -> bool:
        """Whether every wanted word is in its name, game, model, state or headline."""
        said = self.headline.sentence if self.headline else ""
        text = " ".join((self.name, self.game, self.model, self.far.state, said)).casefold()
        return all(word in text for word in wanted.casefold().split())


@dataclass(frozen=True, slots=True)
class _Known:
    key: object
    overview: Overview


class Overviews:
    """All runs of a folder of runs; what was read of one is kept as long as it is true."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._known: dict[Path, _Known] = {}
        self._lock = threading.Lock()

    def folders(self) -> list[tuple[Path, float, bool]]:
        """(run folder, when it changed, whether somebody is at work in it): those at work first,
        then the newest."""
        found = [path.parent for path in self.house.runs.glob("*/manifest.json")]
        busy = at_work(found)
        dated = [(run, changed(run), run in busy) for run in found]
        return sorted(dated, key=lambda one: (not one[2], -one[1], one[0].name))

    def of(self, folders: Iterable[tuple[Path, float, bool]]) -> list[Overview]:
        """What the list says of these."""
        return [self._one(*one) for one in folders]

    def _one(self, run: Path, when: float, busy: bool) -> Overview:
        key = (_stamp(run / "manifest.json"), _stamp(run / "recipe.yaml"), busy)
        with self._lock:
            known = self._known.get(run)
        if busy or known is None or known.key != key or known.overview.changed != when:
            known = _Known(key, overview(run, when, busy))
            with self._lock:
                self._known[run] = known
        return known.overview


def overview(run: Path, when: float, busy: bool) -> Overview:
    """Read what the list says of a run."""
    far = how_far(run, busy)
    recipe, told = far.recipe, told_of(looks(run))
    return Overview(
        name=run.name,
        far=far,
        game=safe_all(recipe.game.name) if recipe else "",
        model=safe_all(recipe.model.base) if recipe else "",
        headline=told,
        changed=when,
        pace=pace(run, far) if busy else None,
    )


def looks(run: Path) -> list[Evaluation]:
    """Every evaluation of a run that can be read, in the order of its stages."""
    found = []
    for path in sorted(run.glob("stages/*/evaluation.json")):
        if "~" not in path.parent.name:
            with suppress(DataError):
                found.append(load_evaluation(path))
    return found


def told_of(found: Sequence[Evaluation]) -> Headline | None:
    """The headline of a run, safe to show; None before there is an evaluation after training, or
    where its figures make no sense."""
    before = next((look for look in found if look.label == "before"), None)
    after = [look for look in found if look.label != "before"]
    if not after:
        return None
    try:
        told = headline(after[-1], before)
    except SENSELESS:
        return None
    return Headline(told.mood, safe_all(told.sentence))


def changed(run: Path) -> float:
    """When a run's manifest or its metric log last changed, in seconds since 1970."""
    times = [0.0]
    for name in ("manifest.json", "metrics.jsonl"):
        with suppress(OSError):
            times.append((run / name).stat().st_mtime)
    return max(times)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size
