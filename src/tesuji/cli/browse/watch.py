"""`tesuji watch RUN`: follow a run that was started elsewhere, until it ends."""

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tesuji.cli.console import console, say
from tesuji.core.errors import DataError

if TYPE_CHECKING:
    from tesuji.pipeline.forecast.how_far import HowFar, Pace
    from tesuji.report.live.reader import MetricReader

app = typer.Typer()
BARS = "▁▂▃▄▅▆▇█"
SPARKS, MOST_METRICS, LONGEST_NAME = 32, 10, 28
BETWEEN = 10.0  # seconds between two lines of steps where there is no terminal
STYLES = {"done": "green", "running": "bold blue", "interrupted": "yellow", "waiting": "dim"}


@app.command()
def watch(
    run: Annotated[str, typer.Argument(help="A run folder, or its name under runs/.")],
    runs: Annotated[Path, typer.Option(help="Folder in which runs are found by name.")] = Path(
        "runs"
    ),
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 2.0,
) -> None:
    """Follow a run: its stages, its step and what it logs, until it ends. Ctrl-C ends only this."""
    from tesuji.core.run_folder import find_run

    folder = find_run(run, runs)
    try:
        (_draw if console.is_terminal else _tell)(folder, every)
    except KeyboardInterrupt:
        say("no longer watched; the run is left as it is")
        return
    _say_end(folder)


def _looks(run: Path, every: float) -> "Iterator[tuple[HowFar, Pace | None]]":
    """How far the run is, again and again as long as somebody is at work in it."""
    from tesuji.core.run_folder import at_work
    from tesuji.pipeline.forecast.how_far import how_far, pace

    while run in at_work([run]):
        far = how_far(run, at_work=True)
        yield far, pace(run, far)
        time.sleep(every)


def _draw(run: Path, every: float) -> None:
    """Keep one picture of it up to date."""
    from tesuji.report.live.reader import MetricReader

    reader = MetricReader(run / "metrics.jsonl")
    with Live(console=console, auto_refresh=False) as live:
        for far, now in _looks(run, every):
            reader.read(every / 2)
            live.update(_picture(run, far, now, reader), refresh=True)


def _picture(run: Path, far: "HowFar", now: "Pace | None", reader: "MetricReader") -> Group:
    from tesuji.report.words import duration

    table = Table.grid(padding=(0, 2))
    for stage in far.stages:
        took = duration(stage.seconds) if stage.seconds is not None else ""
        table.add_row(Text(f"  {stage.name}"), Text(stage.state, style=STYLES[stage.state]), took)
    title = Text(f"{run.name}: {far.done} of {len(far.stages)} stages done", style="bold")
    if now is None:
        return Group(title, table)
    return Group(
        title, table, Text(f"{now.stage}: {_steps(now)}"), _bar(now), _metrics(now, reader)
    )


def _bar(now: "Pace") -> Text:
    wide = min(60, console.width - 4) if now.steps else 0
    done = min(wide, wide * now.step // (now.steps or 1))
    return Text.assemble("  ", ("━" * done, "blue"), ("─" * (wide - done), "dim"))


def _metrics(now: "Pace", reader: "MetricReader") -> Table:
    """The last value of each metric, and how it went."""
    from tesuji.report.words import number

    table, points = Table.grid(padding=(0, 2)), reader.points()
    for name, value in list(now.metrics.items())[:MOST_METRICS]:
        _, values = points.get((now.stage, name), ([], []))
        short = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."
        table.add_row(Text(f"  {short}"), Text(number(value)), Text(sparks(values), no_wrap=True))
    return table


def sparks(values: Sequence[float], count: int = SPARKS) -> str:
    """Values as at most so many bars, each the mean of its share of them."""
    if len(values) < 2 or max(values) == min(values):
        return ""
    count = min(count, len(values))
    ends = [place * len(values) // count for place in range(count + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(ends)]
    low, high = min(means), max(means)
    wide = (high - low) or 1.0
    return "".join(BARS[round((mean - low) / wide * (len(BARS) - 1))] for mean in means)


def _steps(now: "Pace") -> str:
    from tesuji.pipeline.forecast.how_far import rate_words
    from tesuji.report.words import duration, number

    steps = f"step {number(now.step)}" + (f" of {number(now.steps)}" if now.steps else "")
    rate = f", {rate_words(now.rate)}" if now.rate else ""
    left = f", about {duration(now.left)} left" if now.left is not None else ""
    return steps + rate + left


def _tell(run: Path, every: float) -> None:
    """A line when a stage changes, and one now and then of its steps."""
    known: dict[str, Any] = {}
    told, step = 0.0, None
    for far, now in _looks(run, every):
        for stage in far.stages:
            if stage.state != "waiting" and known.get(stage.name) != stage.state:
                say(f"{stage.name}: {stage.state}")
            known[stage.name] = stage.state
        moved = now is not None and (now.stage, now.step) != step
        if now is not None and moved and time.monotonic() - told >= BETWEEN:
            say(f"{now.stage}: {_steps(now)}; {_last(now)}")
            told, step = time.monotonic(), (now.stage, now.step)


def _last(now: "Pace") -> str:
    from tesuji.report.words import number

    return ", ".join(f"{n} {number(v)}" for n, v in list(now.metrics.items())[:MOST_METRICS])


def _say_end(run: Path) -> None:
    from tesuji.pipeline.forecast.how_far import how_far, words

    far = how_far(run, at_work=False)
    if far.state == "broken":
        raise DataError(far.problem, where=str(run / "manifest.json"))
    say(f"{run.name}: {words(far)}")
    if far.state == "stopped":
        say(f"go on with it: tesuji run {run / 'recipe.yaml'} --runs {run.parent}")
    if (run / "report.html").exists():
        say(f"its report: {run / 'report.html'}")
