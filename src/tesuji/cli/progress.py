"""A run's progress as rich bars: one line a piece of work, with what is left of it."""

from rich.console import Console
from rich.progress import Progress, TaskID

from tesuji.pipeline.progress import Reporter


class Bars(Reporter):
    """Draws the work under way; finished work stays as a line above it."""

    def __init__(self, bars: Progress, console: Console) -> None:
        self.bars, self.console = bars, console
        self.task: TaskID | None = None
        self.total: int | None = None

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self.bars.console.print(text, markup=False, highlight=False)

    def begin(self, words: str, total: int | None = None) -> None:
        """Replace the bar."""
        self.end()
        self.total = total
        self.task = self.bars.add_task(words, total=total)

    def update(self, done: int, note: str = "") -> None:
        """Move the bar."""
        if self.task is not None:
            self.bars.update(self.task, completed=done, note=note)

    def end(self) -> None:
        """Take the bar away."""
        if self.task is not None:
            self.bars.remove_task(self.task)
            self.task = None
