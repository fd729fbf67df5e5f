"""Progress drawn by rich: a bar with what is left of the time, silent outside a terminal."""

from typing import Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.text import Text

from tesuji.cli.console import console
from tesuji.core.progress import Progress


class NoteColumn(ProgressColumn):
    """A few words beside a bar, such as the loss."""

    def render(self, task: Task) -> Text:
        """The task's `note`, if it has one."""
        return Text(str(task.fields.get("note", "")), style="dim")


class Bar(Progress):
    """Draws the work under way while entered as a context; lines stay above the bar."""

    def __init__(self) -> None:
        self.drawn = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            NoteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self.drawn.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.drawn.stop()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self.drawn.console.print(text, markup=False, highlight=False)

    def begin(self, words: str, total: int | None = None) -> None:
        """Replace the bar."""
        self.end()
        self.drawn.add_task(words, total=total or None)

    def update(self, done: int, note: str = "") -> None:
        """Move the bar."""
        for task in self.drawn.task_ids:
            self.drawn.update(task, completed=done, note=note)

    def advance(self, count: int = 1) -> None:
        """Move the bar on."""
        for task in self.drawn.task_ids:
            self.drawn.advance(task, count)

    def end(self) -> None:
        """Take the bar away."""
        for task in self.drawn.task_ids:
            self.drawn.remove_task(task)
