"""A few of a recipe's logs as rows: what a forecast counts as long as the rows are not made.

Nobody is asked: without a judge, whose words cost money. What it simplifies: files that are alike
in size are taken to be alike in rows.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tesuji.core.errors import TesujiError, first_line
from tesuji.datasets.from_logs.stage import make_data_from_logs
from tesuji.logs.files import files
from tesuji.pipeline.plan import Step
from tesuji.pipeline.step_context import StepContext
from tesuji.recipe.schema.data import LogsStage
from tesuji.recipe.schema.recipe import Recipe

GAMES, FILES, BYTES = 6, 12, 2_000_000  # made, or read: at most


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows of some of a step's logs, in `folder`. There are `times` as many logs in all; these
    took `seconds`. `why` says why there are none, if so."""

    folder: Path
    times: float = 1.0
    seconds: float = 0.0
    why: str = ""


@dataclass(frozen=True)
class SampledContext(StepContext):
    """A run's steps, where rows that are not made yet are those of a sample."""

    samples: Mapping[str, Sample] = field(default_factory=dict)

    def results_of(self, name: str) -> Path:
        """The folder of the step called `name`, or of its sample."""
        return self.samples[name].folder if name in self.samples else super().results_of(name)


@contextmanager
def samples_of(recipe: Recipe, steps: Sequence[Step]) -> Iterator[dict[str, Sample]]:
    """A sample of each step that reads logs, by name, as long as the context lasts."""
    with TemporaryDirectory(prefix="tesuji-forecast-") as folder:
        samples: dict[str, Sample] = {}
        for step in steps:
            if isinstance(step.section, LogsStage):
                samples[step.name] = _sample(recipe, step.section, Path(folder) / step.name)
        yield samples


def _sample(recipe: Recipe, stage: LogsStage, out: Path) -> Sample:
    start = time.monotonic()
    pairs = stage.pairs
    if pairs is not None and "judge" in pairs.by:
        by = [one for one in pairs.by if one != "judge"]
        pairs = pairs.model_copy(update={"by": by}) if by else None
    try:
        some, times = _some_made(stage) if stage.played else _some_read(stage, out)
        alone = {"pairs": pairs, "processes": 1, "engine": "here", "address": "local"}
        make_data_from_logs(recipe, some.model_copy(update=alone), out)
    except (TesujiError, OSError) as error:
        return Sample(out, why=first_line(error))
    return Sample(out, times, time.monotonic() - start)


def _some_made(stage: LogsStage) -> tuple[LogsStage, float]:
    made = stage.played
    assert made is not None
    games = min(made.games, GAMES)
    fewer = made.model_copy(update={"games": games})
    return stage.model_copy(update={"make": fewer}), made.games / games


def _some_read(stage: LogsStage, out: Path) -> tuple[LogsStage, float]:
    """Files from all over the list, no more bytes than may be read: one at least."""
    sizes = {file: file.stat().st_size for file, _ in files(list(map(Path, stage.paths)), out)}
    spread = list(sizes)[:: max(1, len(sizes) // FILES)][:FILES]
    taken: list[str] = []
    read = 0
    for file in spread:
        if taken and read + sizes[file] > BYTES:
            break
        taken.append(str(file))
        read += sizes[file]
    return stage.model_copy(update={"paths": taken}), sum(sizes.values()) / max(1, read)
